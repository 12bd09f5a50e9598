//! Who looks at a page, and what a page offers them: one place, which asks the table of roles.
//!
//! Invariants: the address that is offered is made from the route that was asked for, so the two
//! cannot differ; what somebody may not do is a sentence instead of a button or a link.

use axum::http::Method;

use crate::model::user::Role;

use super::html::{Html, segment};
use super::roles::{self, Need};

/// Who looks at a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Badge {
    /// Somebody who was not asked for: a driver, or whoever follows a link that leads nowhere.
    Stranger,
    /// There are no users, so everybody on this machine may everything.
    NoUsers,
    /// A user, or a program with the token of this machine.
    Known {
        /// What people call them.
        name: String,
        /// What they may do.
        role: Role,
        /// They came in at the login page, and may go out there.
        session: bool,
    },
}

/// Something that a page may offer.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    /// As the table of roles has it.
    pub method: &'static str,
    /// As the table of roles has it.
    pub route: &'static str,
    /// What stands in the braces of the route.
    pub of: &'a str,
    /// On the button or the link.
    pub title: &'static str,
}

impl Offer<'_> {
    /// Where it is asked for.
    pub fn address(&self) -> String {
        match (self.route.split_once('{'), self.route.split_once('}')) {
            (Some((before, _)), Some((_, after))) => {
                format!("{before}{}{after}", segment(self.of))
            }
            _ => self.route.to_owned(),
        }
    }

    fn need(&self) -> Need {
        let method = Method::from_bytes(self.method.as_bytes());
        method.map_or(Need::Role(Role::Admin), |method| roles::need(&method, self.route))
    }
}

impl Badge {
    /// Whether this may be offered.
    pub fn may(&self, offer: &Offer<'_>) -> bool {
        match offer.need() {
            Need::Nothing => true,
            Need::Role(need) => self.role().is_some_and(|role| need <= role),
        }
    }

    /// A link, or its words with what it takes.
    pub fn link(&self, out: &mut Html, offer: &Offer<'_>) {
        match self.may(offer) {
            true => out.add("<a href=\"{}\">{}</a>", &[&offer.address(), &offer.title]),
            false => self.withheld(out, &[*offer]),
        }
    }

    /// A button that orders something, with the body of the order; nothing where it may not be.
    pub fn button(&self, out: &mut Html, offer: &Offer<'_>, body: &str, done: &'static str) {
        if !self.may(offer) {
            return;
        }
        out.add("<button type=\"button\" data-post=\"{}\" ", &[&offer.address()]);
        if !body.is_empty() {
            out.add("data-body=\"{}\" ", &[&body]);
        }
        out.add("data-done=\"{}\">{}</button> ", &[&done, &offer.title]);
    }

    /// The beginning of a form whose fields go into the body of an order; the answer stands in the
    /// page's `answer`, or beside. Without a script it is not shown, and sends nothing that was
    /// typed with an address.
    pub fn form(&self, out: &mut Html, offer: &Offer<'_>, body: &str) -> bool {
        let may = self.may(offer);
        if may {
            out.add(
                "<form class=\"order fields\" method=\"post\" data-post=\"{}\" \
                 data-body=\"{}\">",
                &[&offer.address(), &body],
            );
        }
        may
    }

    /// What is not offered and what it would take, in one sentence; nothing where all is offered.
    pub fn withheld(&self, out: &mut Html, offers: &[Offer<'_>]) {
        let hidden: Vec<&Offer<'_>> = offers.iter().filter(|offer| !self.may(offer)).collect();
        let Some(first) = hidden.first() else { return };
        let titles: Vec<&str> = hidden.iter().map(|offer| offer.title).collect();
        let Need::Role(role) = first.need() else { return };
        out.add("<span class=\"withheld\">{}: ", &[&titles.join(", ")]);
        match self {
            Self::Known { name, role: own, .. } => {
                out.add("for the role {}; {} is {}.</span>", &[&role, name, own]);
            }
            Self::Stranger | Self::NoUsers => out.add("for the role {}.</span>", &[&role]),
        }
    }

    /// Who is here, and the way out: for the head of a page.
    pub fn who(&self, out: &mut Html) {
        match self {
            Self::Stranger => {}
            Self::NoUsers => out.add(
                "<p class=\"who\"><a href=\"/account\">Nobody has to log in on this machine</a>\
                 </p>",
                &[],
            ),
            Self::Known { name, role, session } => {
                out.add("<div class=\"who\"><p><a href=\"/account\">{}</a> ", &[name]);
                out.add("<span>{}</span></p>", &[role]);
                if *session {
                    out.add(
                        "<form method=\"post\" action=\"/logout\"><button>Log out</button></form>",
                        &[],
                    );
                }
                out.add("</div>", &[]);
            }
        }
    }

    fn role(&self) -> Option<Role> {
        match self {
            Self::Stranger => None,
            Self::NoUsers => Some(Role::Admin),
            Self::Known { role, .. } => Some(*role),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QR: Offer<'_> =
        Offer { method: "GET", route: "/evse/{id}/qr", of: "A/1", title: "QR code" };

    #[test]
    fn what_a_role_may_not_is_a_sentence_instead_of_a_link() {
        let known = |role| Badge::Known { name: "bob".to_owned(), role, session: true };
        let mut out = Html::new();
        known(Role::Operator).link(&mut out, &QR);
        assert_eq!(out.as_str(), "<a href=\"/evse/A%2F1/qr\">QR code</a>");
        let mut out = Html::new();
        known(Role::Viewer).link(&mut out, &QR);
        assert!(!out.as_str().contains("href"), "{}", out.as_str());
        assert!(out.as_str().contains("QR code: for the role operator; bob is viewer."));
        assert!(Badge::NoUsers.may(&QR) && !Badge::Stranger.may(&QR));
    }

    #[test]
    fn a_route_that_nobody_has_sorted_is_offered_to_admins_alone() {
        let fresh = Offer { method: "POST", route: "/api/v1/fresh", of: "", title: "Go" };
        let known = |role| Badge::Known { name: "bob".to_owned(), role, session: true };
        assert!(known(Role::Admin).may(&fresh) && !known(Role::Operator).may(&fresh));
    }
}
