//! Evaluates Erlang in a running node, by a file that the node reads: `rabbitmqctl` starts an Erlang VM for each
//! command, which costs seconds.

use crate::failure::{Failure, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// What the node runs from its start on.
const LISTENER: &str = r#"spawn(fun() ->
    Read = fun(Again) ->
        case file:read_file("FOLDER/command") of
            {ok, Text} ->
                ok = file:delete("FOLDER/command"),
                {ok, Tokens, _} = erl_scan:string(binary_to_list(Text)),
                {ok, Expressions} = erl_parse:parse_exprs(Tokens),
                {value, Value, _} = erl_eval:exprs(Expressions, []),
                ok = file:write_file("FOLDER/result.new", io_lib:format("~p", [Value])),
                ok = file:rename("FOLDER/result.new", "FOLDER/result");
            {error, enoent} -> ok
        end,
        timer:sleep(20),
        Again(Again)
    end,
    Read(Read)
end).
"#;

/// Maximum time until the node has a result.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the listener into `folder`; returns the flags for `erl` that start it. The name of its file is a list of
/// numbers, which no shell takes apart.
pub(super) fn flags(folder: &Path) -> Result<String> {
    let (file, folder) = (folder.join("listener.erl"), folder.display().to_string());
    std::fs::write(&file, LISTENER.replace("FOLDER", &folder))?;
    Ok(format!("-eval file:eval({:?})", file.display().to_string().as_bytes()).replace(", ", ","))
}

/// Returns the value of `expressions`, which end with a full stop, in the node that has `folder`.
pub(super) fn evaluate(folder: &Path, expressions: &str) -> Result<String> {
    let (command, result) = (folder.join("command"), folder.join("result"));
    let written = folder.join("command.new");
    std::fs::write(&written, expressions)?;
    std::fs::rename(written, command)?;
    let deadline = Instant::now() + PATIENCE;
    while !result.exists() {
        if Instant::now() > deadline {
            return Err(Failure::failed(format!("no result of: {expressions}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let value = std::fs::read_to_string(&result)?;
    std::fs::remove_file(result)?;
    Ok(value)
}
