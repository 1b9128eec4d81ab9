//! Health calls: an operation on what cannot exist. Such a call changes nothing, and that Mimecast itself answers it
//! says that Mimecast and our permission are well for this operation, now.

use super::group::text;
use super::list_page::ListPage;
use super::vendor::{Effort, Vendor};
use crate::command::{Call, Command, Operation, Page};
use crate::event::{EmailAddress, Member};
use crate::verdict::{Cause, Conclusion, Fault, History};
use tokio_util::sync::CancellationToken;

/// Groups of the tenant that are asked for at most: nobody may change some that Mimecast maintains.
const MOST_GROUPS: usize = 3;

/// The result of a health call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Mimecast answered: it knows us, and takes the operation from us.
    Answered,
    /// Mimecast forbids the operation for everything that was asked for: for want of a permission, or because nobody
    /// may change just these items.
    Forbidden(Fault),
    /// Nobody answered, or Mimecast refuses us.
    NotAnswered(Fault),
    /// The quota of the operation left no time for it, or a stop ended the wait.
    OutOfTime,
}

impl Vendor {
    /// Makes the health call of `operation`. `groups` of the tenant are asked for first, one after the other while
    /// they are forbidden, and a made-up one last: Mimecast may forbid that alone, or a group that it maintains.
    pub async fn health(
        &self,
        operation: Operation,
        groups: &[String],
        effort: Effort,
        ended: &CancellationToken,
    ) -> Health {
        let mut health = Health::OutOfTime;
        let nothing = format!("mimecast-eventd-health-{}", (self.fresh)().request_id);
        let groups = groups.iter().filter(|_| operation.has_group());
        for group in groups.chain([&nothing]) {
            let call = call(operation, group, &nothing);
            let mut history = History::default();
            let (conclusion, _) = self.conclude(&call, &mut history, effort, ended).await;
            health = Health::of(conclusion);
            if !matches!(health, Health::Forbidden(_)) {
                break;
            }
        }
        health
    }

    /// Some groups of the tenant to make health calls with; none where they cannot be listed.
    pub async fn some_groups(&self, effort: Effort, ended: &CancellationToken) -> Vec<String> {
        let call = Call::find_groups(None, Page { size: Page::SMALLEST, token: None });
        let (_, body) = self.conclude(&call, &mut History::default(), effort, ended).await;
        let page = ListPage::read(call.operation, &body).map(|page| page.entries);
        let ids = page.iter().flatten().filter_map(|group| text(group, "id"));
        ids.take(MOST_GROUPS).map(str::to_owned).collect()
    }
}

impl Health {
    fn of(conclusion: Conclusion) -> Health {
        match conclusion {
            // Whatever it thinks of the item: it knows who we are, and lets us call.
            Conclusion::Applied
            | Conclusion::AlreadyGone
            | Conclusion::NotFound
            | Conclusion::Refused(..) => Health::Answered,
            Conclusion::Stuck(stuck) if stuck.cause == Cause::Forbidden => {
                Health::Forbidden(stuck.fault)
            }
            Conclusion::Stuck(stuck) => Health::NotAnswered(stuck.fault),
            Conclusion::Limited(_) | Conclusion::OutOfTime | Conclusion::Stopped => {
                Health::OutOfTime
            }
        }
    }
}

/// The operation on what cannot exist: in this group, or of the id `nothing`.
fn call(operation: Operation, group: &str, nothing: &str) -> Call {
    match operation {
        Operation::RemoveGroupMember => {
            // A name that nobody can have (RFC 2606, section 2).
            let nobody = EmailAddress::parse("mimecast-eventd-health@example.invalid");
            let nobody = Member::EmailAddress(nobody.expect("it is an address"));
            Command::remove(group, &nobody).call()
        }
        Operation::DeleteManagedUrl => Command::DeleteManagedUrl { id: nothing.into() }.call(),
        Operation::FindGroups => Call::find_groups(Some(nothing), Page::FIRST),
        Operation::GetGroupMembers => Call::get_group_members(group, Page::FIRST),
        Operation::GetAllManagedUrls => Call::get_all_managed_urls(Page::FIRST),
    }
}
