//! Who is let in.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::call::Operation;
use crate::credentials::Credentials;
use crate::protocol::{Asked, Authorization};
use crate::quota::Account;
use crate::reply::Reply;
use crate::token::Tokens;

pub(crate) struct Gate {
    pub(crate) credentials: Credentials,
    pub(crate) tokens: Tokens,
    pub(crate) credentials_refused: bool,
    pub(crate) keys_expired: bool,
    /// The operations whose products the application of API 2.0 has.
    pub(crate) products: Vec<Operation>,
    /// Of the fake's clock, before that of the host.
    pub(crate) clock_ahead: TimeDelta,
}

impl Gate {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            tokens: Tokens::new(),
            credentials_refused: false,
            keys_expired: false,
            products: vec![Operation::RemoveGroupMember, Operation::DeleteManagedUrl],
            clock_ahead: TimeDelta::zero(),
        }
    }

    /// What the fake's clock shows.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.clock_ahead
    }

    /// Whom a call counts against. That goes by its name alone: a known key with a wrong signature
    /// is still that key.
    pub(crate) fn account(&self, asked: &Asked) -> Account {
        let is_ours = match &asked.authorization {
            _ if asked.operation == Operation::Token => self.credentials.is_our_client(asked),
            authorization if asked.generation.is_foreign(authorization.kind()) => false,
            Authorization::Signature(authorization) => self.credentials.is_our_key(authorization),
            Authorization::Bearer(token) => self.tokens.knows(token),
            Authorization::None => false,
        };
        if is_ours { Account::Ours(asked.operation) } else { Account::Stranger }
    }

    /// The reply to a call that is not let in.
    pub(crate) fn refuse(&self, asked: &Asked) -> Option<Reply> {
        if asked.operation == Operation::Token {
            return if self.credentials_refused {
                Some(Reply::invalid_client())
            } else {
                self.credentials.refuse_client(asked)
            };
        }
        match &asked.authorization {
            Authorization::Signature(authorization) => self.refuse_signature(asked, authorization),
            Authorization::Bearer(token) => self.refuse_bearer(asked.operation, token),
            Authorization::None => Some(Reply::unauthorized()),
        }
    }

    fn refuse_signature(&self, asked: &Asked, authorization: &str) -> Option<Reply> {
        if self.credentials_refused {
            return Some(Reply::invalid_signature());
        }
        // Only a key that is known can be known to have expired.
        self.credentials
            .refuse_signature(asked, authorization, self.now())
            .or_else(|| self.keys_expired.then(Reply::binding_expired))
    }

    fn refuse_bearer(&self, operation: Operation, token: &str) -> Option<Reply> {
        if self.credentials_refused {
            return Some(Reply::unauthorized());
        }
        // Finding groups and changing them are of one product.
        let product = match operation {
            Operation::FindGroups | Operation::GetGroupMembers => Operation::RemoveGroupMember,
            Operation::GetAllManagedUrls => Operation::DeleteManagedUrl,
            Operation::RemoveGroupMember | Operation::DeleteManagedUrl | Operation::Token => {
                operation
            }
        };
        self.tokens
            .refuse(token, Instant::now())
            .or_else(|| (!self.products.contains(&product)).then(Reply::app_forbidden))
    }
}
