//! All that the vendor knows, and how it decides what becomes of a request.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use hyper::Request;
use hyper::body::Bytes;
use serde_json::json;
use tokio::time::Instant;

use crate::bucket::RateLimit;
use crate::call::{Call, Operation};
use crate::credentials::Credentials;
use crate::fault::Faults;
use crate::gate::Gate;
use crate::kind::FaultKind;
use crate::lists::Lists;
use crate::load::Load;
use crate::protocol::Asked;
use crate::quota::{Account, Quota};
use crate::reply::{Problem, Reply};
use crate::tenant::{Outcome, Tenant};
use crate::vendor::{Cut, Verdict};
use crate::violation::Violation;

pub(crate) struct State {
    pub(crate) gate: Gate,
    pub(crate) tenant: Tenant,
    pub(crate) faults: Faults,
    pub(crate) quota: Quota,
    pub(crate) lists: Lists,
    pub(crate) calls: Vec<Call>,
    /// Those of `calls` that are meant to change something.
    pub(crate) operation_calls: usize,
    pub(crate) violations: Vec<String>,
    /// Set while something is measured: faults and records have no part in it.
    pub(crate) load: Option<Load>,
    request_ids: HashSet<String>,
}

impl State {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            gate: Gate::new(credentials),
            tenant: Tenant::default(),
            faults: Faults::default(),
            quota: Quota::new(),
            lists: Lists::default(),
            calls: Vec::new(),
            operation_calls: 0,
            violations: Vec::new(),
            load: None,
            request_ids: HashSet::new(),
        }
    }

    /// Records a request and decides what becomes of it.
    pub(crate) fn receive(
        &mut self,
        request: &Request<Bytes>,
        asked: &Asked,
        violation: Option<Violation>,
    ) -> (usize, Verdict) {
        let violation = self.record_request_id(asked).or(violation);
        let index = self.record_call(asked);
        let verdict = match violation {
            Some(violation) => {
                self.record_violation(request, &violation);
                Verdict::Answer(violation.reply(Some(asked.operation)))
            }
            None => self.judge(index, asked),
        };
        (index, self.settle(index, asked, verdict))
    }

    /// The reply to a call under measurement; none if nothing is measured, or if it is not as it should be.
    pub(crate) fn measure(&mut self, asked: &Asked) -> Option<(Duration, Reply)> {
        let load = self.load.as_mut()?;
        if !asked.operation.is_change() || self.gate.refuse(asked).is_some() {
            return None;
        }
        let (latency, reply) = (load.latency, load.carry_out(&asked.item));
        Some((latency, self.finish(reply, Account::Ours(asked.operation))))
    }

    pub(crate) fn refuse_path(&mut self, request: &Request<Bytes>) -> Reply {
        let violation = Violation::new("there is no such path");
        self.record_violation(request, &violation);
        // Nobody asks who comes to a path that is not there.
        self.finish(violation.reply(None), Account::Stranger)
    }

    fn record_violation(&mut self, request: &Request<Bytes>, violation: &Violation) {
        self.violations.push(format!("{} {}: {}", request.method(), request.uri(), violation.text));
    }

    /// Each attempt must carry an id of its own, also after a reply that was lost.
    fn record_request_id(&mut self, asked: &Asked) -> Option<Violation> {
        let id = asked.request_id.clone()?;
        let text = format!("x-mc-req-id {id:?} was used before");
        (!self.request_ids.insert(id)).then(|| Violation::new(text))
    }

    fn record_call(&mut self, asked: &Asked) -> usize {
        if asked.operation.is_change() {
            self.operation_calls += 1;
        }
        self.calls.push(Call {
            operation: asked.operation,
            item: asked.item.clone(),
            request_id: asked.request_id.clone(),
            authorization_kind: asked.authorization.kind(),
            date: asked.date.clone(),
            status: None,
            code: None,
            applied: false,
            at: SystemTime::now(),
        });
        self.calls.len() - 1
    }

    /// Transport, credentials, quota, the other faults, the operation: in this order.
    fn judge(&mut self, index: usize, asked: &Asked) -> Verdict {
        if let Some(kind) = self.faults.take(asked, FaultKind::is_of_transport) {
            return self.strike(kind, index, asked);
        }
        if let Some(reply) = self.refusal(asked) {
            return Verdict::Answer(reply);
        }
        match self.faults.take(asked, |_| true).or_else(|| self.lists.refuse(asked)) {
            Some(kind) => self.strike(kind, index, asked),
            None => Verdict::Answer(self.execute(index, asked)),
        }
    }

    /// What follows a delay. No further fault meets a call that one has already met.
    pub(crate) fn proceed(&mut self, index: usize, asked: &Asked) -> Reply {
        let reply = self.refusal(asked).unwrap_or_else(|| self.execute(index, asked));
        self.record_reply(index, &reply);
        self.finish(reply, self.gate.account(asked))
    }

    /// Who is known and refused uses nothing up. A stranger is always refused, and every attempt
    /// counts.
    fn refusal(&mut self, asked: &Asked) -> Option<Reply> {
        let account = self.gate.account(asked);
        let refusal = self.gate.refuse(asked);
        let is_free = refusal.is_some() && account != Account::Stranger;
        if is_free || self.quota.take(account, Instant::now()) {
            refusal
        } else {
            Some(Reply::throttled())
        }
    }

    fn execute(&mut self, index: usize, asked: &Asked) -> Reply {
        let overlaps = self.lists.overlaps(asked);
        let page = &asked.page.clone().overlapping(overlaps);
        let Outcome { reply, applied } = match asked.operation {
            Operation::RemoveGroupMember => {
                self.tenant.remove_group_member(asked.generation, &asked.item)
            }
            Operation::DeleteManagedUrl => self.tenant.delete_managed_url(&asked.item),
            Operation::FindGroups => self.tenant.find_groups(&asked.item, page),
            Operation::GetGroupMembers => {
                self.tenant.get_group_members(asked.generation, &asked.item, page)
            }
            Operation::GetAllManagedUrls => self.tenant.get_all_managed_urls(page),
            Operation::Token => {
                Outcome { reply: self.gate.tokens.issue(Instant::now()), applied: true }
            }
        };
        self.calls[index].applied = applied;
        reply
    }

    fn strike(&mut self, kind: FaultKind, index: usize, asked: &Asked) -> Verdict {
        let answer = match kind {
            FaultKind::Status { status, headers, body, content_type } => Reply {
                headers,
                content_type: (!content_type.is_empty()).then_some(content_type),
                ..Reply::text(status, "", body)
            },
            FaultKind::Fail { code, message } => {
                let key = (!asked.item.is_null()).then_some(&asked.item);
                Reply::fail(200, key, Problem::new(code, message))
            }
            FaultKind::FlatFail { status, code } => {
                Reply::flat(status, &code, "The request was refused at the gateway")
            }
            FaultKind::ErrorsShape { status, code } => Reply::errors(status, &code),
            FaultKind::OAuthShape { status, error } => {
                Reply::oauth(status, &error, "The request failed")
            }
            FaultKind::Html { status } => Reply::html(status),
            FaultKind::EmptyBody { status } => Reply::empty(status),
            FaultKind::NotJson => Reply::text(200, "application/json", "it worked".to_owned()),
            FaultKind::Hang => return Verdict::Hang,
            FaultKind::Delay { milliseconds } => {
                return Verdict::Delay(Duration::from_millis(milliseconds));
            }
            FaultKind::Hold => return Verdict::Hold,
            FaultKind::Reset => return Verdict::Cut(Cut::Reset),
            FaultKind::LoseReply => {
                self.execute(index, asked);
                return Verdict::Cut(Cut::Closed);
            }
            FaultKind::Truncated => {
                let reply = Reply::done(&json!([asked.item]));
                self.record_reply(index, &reply);
                let reply = self.finish(reply, self.gate.account(asked));
                return Verdict::Cut(Cut::Truncated(reply.into_half(self.gate.now())));
            }
            FaultKind::Throttle { reset_milliseconds, retry_after } => {
                let mut reply = Reply::throttled();
                reply.rate_limit = Some(RateLimit {
                    remaining: 0,
                    reset_milliseconds,
                    ..self.quota.rate_limit(self.gate.account(asked), Instant::now())
                });
                if let Some(retry_after) = retry_after {
                    reply.headers.insert("retry-after".to_owned(), retry_after);
                }
                reply
            }
            FaultKind::MixedFail { code } => {
                Reply::mixed(&asked.item, Problem::new(code, "Ordered by the test"))
            }
            FaultKind::Unauthorized => Reply::invalid_signature(),
            FaultKind::Expired => Reply::binding_expired(),
            FaultKind::Forbidden => Reply::app_forbidden(),
        };
        Verdict::Answer(answer)
    }

    fn settle(&mut self, index: usize, asked: &Asked, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Answer(reply) => {
                self.record_reply(index, &reply);
                Verdict::Answer(self.finish(reply, self.gate.account(asked)))
            }
            Verdict::Cut(_) | Verdict::Hang | Verdict::Delay(_) | Verdict::Hold => verdict,
        }
    }

    fn record_reply(&mut self, index: usize, reply: &Reply) {
        self.calls[index].status = Some(reply.status);
        self.calls[index].code.clone_from(&reply.code);
    }

    /// Every reply of the vendor says how much of the quota is left.
    fn finish(&mut self, mut reply: Reply, account: Account) -> Reply {
        reply.rate_limit.get_or_insert_with(|| self.quota.rate_limit(account, Instant::now()));
        reply
    }
}
