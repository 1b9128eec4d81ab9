// Holds an AsyncAPI document to the standard.
//
// usage: asyncapi.mjs MODULES FILE
//
// MODULES is the folder node_modules with the package @asyncapi/parser. Schemas in other files are read
// from there. Exit status: 0 it is one; 1 it is not, and where is on standard output.

import { createRequire } from "node:module";
import { resolve } from "node:path";

const [modules, file] = process.argv.slice(2);
const { Parser, fromFile } = createRequire(resolve(modules, "x"))("@asyncapi/parser");
const { document, diagnostics } = await fromFile(new Parser(), file).parse();
// Hints, such as that there is a later version of the standard, are none of our mistakes.
const problems = diagnostics.filter(({ severity }) => severity < 2);
for (const { message, path } of problems) {
  console.log(`${file}: ${path.join(".")}: ${message}`);
}
process.exitCode = document && problems.length === 0 ? 0 : 1;
