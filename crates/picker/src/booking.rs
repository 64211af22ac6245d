//! One request at its endpoint, from the choice to the end of the answer.

use crate::{app::App, machine::Finished, roster::Member};
use onefill_question::Question;
use onefill_schedule::{Ended, Pick, Receipt, Ticket, Usage};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A request that is booked. Dropped, it counts as broken off by the client.
#[derive(Debug)]
pub(crate) struct Booking {
    app: Arc<App>,
    member: Arc<Member>,
    ticket: Option<Ticket>,
    receipt: Receipt,
    question: Question,
    booked: Instant,
}

impl Booking {
    pub(crate) fn new(
        app: &Arc<App>,
        member: &Arc<Member>,
        pick: Pick,
        question: Question,
    ) -> Self {
        app.metrics.picked(&pick.receipt);
        app.metrics.in_flight.inc();
        Self {
            app: Arc::clone(app),
            member: Arc::clone(member),
            ticket: Some(pick.ticket),
            receipt: pick.receipt,
            question,
            booked: Instant::now(),
        }
    }

    /// The endpoint's rank, where several are behind its address.
    pub(crate) fn rank(&self) -> Option<u32> {
        self.member.replica.rank
    }

    /// Tokens of the prompt that the endpoint should have cached.
    pub(crate) const fn overlap_tokens(&self) -> u32 {
        self.receipt.overlap_tokens
    }

    /// The answer has begun: prefill is over, so the replica holds the prompt from now on.
    pub(crate) fn first_byte(&mut self) {
        let now = self.app.now();
        if let Some(ticket) = &self.ticket {
            self.app.scheduler.first_byte(now, ticket);
        }
        self.app.metrics.first_byte(self.booked.elapsed());
        self.remember(now);
    }

    fn remember(&self, now: Duration) {
        self.question.remember(&self.member.replica, now);
    }

    /// The data plane sent it elsewhere: it is in flight there.
    pub(crate) fn served(&mut self, address: &str) {
        let Ok(address) = address.parse::<SocketAddr>() else {
            return;
        };
        if address == self.member.pod.address {
            return;
        }
        self.app.metrics.diverted.inc();
        self.app.fleet.suspect(self.member.replica.id);
        let roster = self.app.roster();
        let mut members = roster.members.iter();
        let Some(member) = members.find(|member| member.pod.address == address) else {
            return;
        };
        if let Some(ticket) = &mut self.ticket {
            let now = self.app.now();
            self.app.scheduler.moved(now, ticket, member.replica.id);
        }
        self.member = Arc::clone(member);
    }

    /// The answer is over.
    pub(crate) fn done(mut self, finished: &Finished) {
        self.app.metrics.done(self.booked.elapsed(), finished);
        self.compare(&finished.usage);
        self.end(Ended::Done, finished.usage);
    }

    /// Nobody will tell when it is over: it counts as computed, and as nobody's load.
    pub(crate) fn let_go(mut self) {
        self.remember(self.app.now());
        self.end(Ended::Done, Usage::default());
    }

    /// Expected against reported.
    fn compare(&self, usage: &Usage) {
        if let (Some(_), Some(cached)) = (usage.prompt_tokens, usage.cached_tokens) {
            let difference = cached.abs_diff(self.receipt.overlap_tokens);
            self.app
                .metrics
                .compared(self.receipt.knowledge, difference);
        }
    }

    fn end(&mut self, ended: Ended, usage: Usage) {
        if let Some(ticket) = self.ticket.take() {
            self.app.metrics.in_flight.dec();
            let now = self.app.now();
            self.app.scheduler.finished(now, ticket, ended, usage);
        }
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.end(Ended::Cancelled, Usage::default()); // unless it has ended already
    }
}
