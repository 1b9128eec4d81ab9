//! Health calls: an operation on what cannot exist. Such a call changes nothing, and that Mimecast itself answers it
//! says that Mimecast and our permission are well for this operation, now.
//!
//! Mimecast may forbid a made-up group although the permission is there, may forbid or fail for a single group, and may
//! say that a made-up one is not there although the permission is gone. So the call is made for the group of the message
//! first, then for the one that was answered last. If one of these is forbidden, groups of the tenant are listed and
//! asked for. A made-up one is next, unless the one that was answered last is forbidden now; and then groups of the
//! tenant, if none was answered before. The first answer counts.

use super::group::text;
use super::known::HealthCall;
use super::list_page::ListPage;
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Command, Operation, Page};
use crate::event::{EmailAddress, Member};
use crate::verdict::{Cause, Conclusion, Fault, Health, History};
use futures_util::FutureExt;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Groups of the tenant that are asked for at most: nobody may change some that Mimecast maintains.
const MOST_GROUPS: usize = 3;

impl Vendor {
    /// Makes the health call of `operation`, for this `group` first. One of each operation is in flight, and all that
    /// wait for it share it. An answer to a call that began earlier counts for nothing: an outage may have begun since.
    /// Nobody waits beyond `deadline`, or once this vendor is replaced.
    pub async fn health(
        self: &Arc<Self>,
        operation: Operation,
        group: Option<&str>,
        deadline: Instant,
        ended: &CancellationToken,
    ) -> Health {
        let asked = Instant::now();
        // One that this tenant was never asked for may be the group of another tenant.
        let group = group.filter(|group| self.tenant.known.has_failed_for(group));
        while Instant::now() < deadline {
            let renewed = self.tenant.known.renewed.notified();
            let call = || self.begin_health_call(operation, group);
            let call = self.tenant.known.in_flight().entry(operation).or_insert_with(call).clone();
            let health = tokio::select! {
                biased;
                () = ended.cancelled() => return Health::OutOfTime,
                () = self.tenant.replaced.cancelled() => return Health::OutOfTime,
                health = tokio::time::timeout_at(deadline, call.health) => {
                    health.unwrap_or(Health::OutOfTime)
                }
                () = renewed => continue,
            };
            match health {
                Health::Answered | Health::Unclear(_) | Health::Forbidden(_)
                    if call.began < asked => {}
                Health::Answered
                | Health::Unclear(_)
                | Health::Forbidden(_)
                | Health::NotAnswered(_)
                | Health::OutOfTime => return health,
            }
        }
        Health::OutOfTime
    }

    /// Begins a health call, in a task of its own: it goes on whoever stops waiting for it.
    fn begin_health_call(
        self: &Arc<Self>,
        operation: Operation,
        group: Option<&str>,
    ) -> HealthCall {
        let (vendor, group, began) = (Arc::clone(self), group.map(str::to_owned), Instant::now());
        let calling = tokio::spawn(async move {
            let deadline = Instant::now() + vendor.timings().work;
            let effort = Effort::new(true, deadline);
            let never = CancellationToken::new();
            let health = vendor.health_call(operation, group, effort, &never).await;
            let mut in_flight = vendor.tenant.known.in_flight();
            if in_flight.get(&operation).is_some_and(|call| call.began == began) {
                in_flight.remove(&operation);
            }
            health
        });
        let lost = |error: String| Health::NotAnswered(Fault::new("health_call", &error));
        let health = async move { calling.await.unwrap_or_else(|error| lost(error.to_string())) };
        HealthCall { began, health: health.boxed().shared() }
    }

    /// Makes the health call of `operation`, for this `group` first, without sharing it.
    pub async fn health_call(
        &self,
        operation: Operation,
        group: Option<String>,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Health {
        let known = self.tenant.known.last_answered(operation);
        let nothing = format!("mimecast-eventd-health-{}", (self.fresh)().request_id);
        let (mut asked, mut worst) = (Vec::new(), None);
        let real = match operation.has_group() {
            true => [group, known.clone().flatten()].into_iter().flatten().collect(),
            false => Vec::new(),
        };
        let mut next: VecDeque<Option<String>> = real.into_iter().map(Some).collect();
        let (mut may_list, mut may_make_up) = (operation.has_group(), true);
        loop {
            if let Some(form) = next.pop_front() {
                if asked.contains(&form) {
                    continue;
                }
                match self.ask_for(operation, form.clone(), &nothing, effort, ended).await {
                    Tried::Decided(health) => return health,
                    // Who refuses us refuses all: one other form is enough to know that it is not for the group.
                    Tried::Refused(health) if !asked.is_empty() => return health,
                    Tried::Fails(health) | Tried::Refused(health) => {
                        // That a made-up one is not there says nothing then.
                        may_make_up &= known.as_ref() != Some(&form) || !health.is_forbidden();
                        worst = Some(graver(worst, health));
                    }
                }
                asked.push(form);
                continue;
            }
            let is_forbidden = worst.as_ref().is_some_and(Health::is_forbidden);
            // Of a group that is forbidden, others of the tenant tell more than one that is not there.
            if may_list && (is_forbidden || (!may_make_up && known.is_none())) {
                may_list = false;
                next.extend(self.some_groups(effort, ended).await.into_iter().map(Some));
            } else if may_make_up {
                may_make_up = false;
                next.push_back(operation.has_group().then(|| nothing.clone()));
            } else {
                break;
            }
        }
        worst.map_or(Health::OutOfTime, |worst| of_the_worst(operation, worst, known))
    }

    /// Whoever waits for a health call makes another one: the one in flight may hang, or have begun in an outage that
    /// is over.
    pub fn ask_anew(&self) {
        self.tenant.known.abandon_calls();
    }

    /// Asks for one form of a health call.
    async fn ask_for(
        &self,
        operation: Operation,
        group: Option<String>,
        nothing: &str,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Tried {
        let size = self.tenant.page_sizes.of(operation);
        let call = call(operation, group.as_deref(), nothing, size);
        let mut history = History::default();
        let (conclusion, _) = self.conclude(&call, &mut history, effort, ended).await;
        Tried::of(operation, conclusion)
    }

    /// Some groups of the tenant; none where they cannot be listed.
    async fn some_groups(&self, effort: Effort<'_>, ended: &CancellationToken) -> Vec<String> {
        let call = Call::find_groups(None, Page { size: Page::SMALLEST, token: None });
        let (_, body) = self.conclude(&call, &mut History::default(), effort, ended).await;
        let page = ListPage::read(call.operation, &body).map(|page| page.entries);
        let ids = page.iter().flatten().filter_map(|group| text(group, "id"));
        ids.take(MOST_GROUPS).map(str::to_owned).collect()
    }
}

/// The result of one form of a health call.
enum Tried {
    /// It counts, whatever another form would say.
    Decided(Health),
    /// Another form may be answered.
    Fails(Health),
    /// Mimecast refuses the caller, or so it says of this form.
    Refused(Health),
}

impl Tried {
    fn of(operation: Operation, conclusion: Conclusion) -> Tried {
        let stuck = match conclusion {
            // Whatever it thinks of the item: it knows who we are, and lets us call.
            Conclusion::Applied | Conclusion::AlreadyGone | Conclusion::NotFound => {
                return Tried::Decided(Health::Answered);
            }
            Conclusion::Refused(..) if operation.is_about_an_item() => {
                return Tried::Decided(Health::Answered);
            }
            Conclusion::Refused(_, fault) => return Tried::Decided(Health::NotAnswered(fault)),
            Conclusion::Limited(_) | Conclusion::OutOfTime | Conclusion::Stopped => {
                return Tried::Decided(Health::OutOfTime);
            }
            Conclusion::Stuck(stuck) => stuck,
        };
        let fault = stuck.fault;
        match stuck.cause {
            Cause::Forbidden => Tried::Fails(Health::Forbidden(fault)),
            // Without a code it may be about the item.
            Cause::Refused if fault.code == "http_403" => Tried::Fails(Health::Forbidden(fault)),
            // A connection that does not come about has nothing to do with what is asked for.
            Cause::Passing if matches!(&*fault.code, "connect" | "token" | "no_token") => {
                Tried::Decided(Health::NotAnswered(fault))
            }
            Cause::Passing => Tried::Fails(Health::NotAnswered(fault)),
            Cause::Refused => Tried::Refused(Health::NotAnswered(fault)),
            Cause::Inconsistent | Cause::Contradicted | Cause::Guarded => {
                Tried::Decided(Health::NotAnswered(fault))
            }
        }
    }
}

/// Of several forms that fail, one that is forbidden tells most: somebody has answered.
fn graver(before: Option<Health>, now: Health) -> Health {
    match before {
        Some(before @ Health::Forbidden(_)) => before,
        Some(before) if !matches!(now, Health::Forbidden(_)) => before,
        Some(_) | None => now,
    }
}

/// The result, if no form was answered: `known` was answered before.
fn of_the_worst(operation: Operation, worst: Health, known: Option<Option<String>>) -> Health {
    match (worst, known) {
        // Nothing made up was asked for.
        (Health::Forbidden(fault), _) if !operation.is_about_an_item() => {
            Health::NotAnswered(fault)
        }
        (Health::Forbidden(fault), Some(None)) => Health::Unclear(fault),
        (worst, _) => worst,
    }
}

/// The operation on what cannot exist: in this group, or of the id `nothing`.
fn call(operation: Operation, group: Option<&str>, nothing: &str, size: u64) -> Call {
    let (group, page) = (group.unwrap_or(nothing), Page { size, token: None });
    match operation {
        Operation::RemoveGroupMember => {
            // A name that nobody can have (RFC 2606, section 2).
            let nobody = EmailAddress::parse("mimecast-eventd-health@example.invalid");
            let nobody = Member::EmailAddress(nobody.expect("it is an address"));
            Command::remove(group, &nobody).call()
        }
        Operation::DeleteManagedUrl => Command::DeleteManagedUrl { id: nothing.into() }.call(),
        Operation::FindGroups => Call::find_groups(Some(nothing), page),
        Operation::GetGroupMembers => Call::get_group_members(group, page),
        Operation::GetAllManagedUrls => Call::get_all_managed_urls(page),
    }
}
