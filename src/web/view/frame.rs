//! What is around every page's content: the title, the navigation, the lock, notices and help.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Frame, Lock, Notice, Section, forms, text, time};

/// A whole page.
pub(super) fn page(frame: &Frame<'_>, content: &Markup) -> Markup {
    let inside = frame.section != Section::Outside;
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(frame))
            body .outside[!inside] {
                a .skip href="#main" { "Skip to the content" }
                header .top {
                    a .brand href="/waiting" { (PreEscaped(MARK)) span { "Countersign" } }
                    @if let Some(me) = frame.me {
                        span .me title="What this node calls itself" { (text::line(&me.name)) }
                    }
                    @if inside { (lock(frame)) }
                }
                @if inside { (navigation(frame)) }
                main #main tabindex="-1" {
                    (notice(frame))
                    (content)
                }
                p #connection .connection role="status" {}
                p #announce .sr aria-live="polite" {}
                @if inside { (help()) }
            }
        }
    }
}

fn head(frame: &Frame<'_>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            @if !frame.csrf.is_empty() { meta name="csrf" content=(frame.csrf); }
            title {
                @if frame.waiting > 0 { "(" (frame.waiting) ") " }
                (text::plain(frame.title)) " · Countersign"
            }
            link rel="icon" href="/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/style.css";
            script src="/page.js" defer {}
        }
    }
}

fn navigation(frame: &Frame<'_>) -> Markup {
    let parts = [
        (Section::Waiting, "/waiting", "Waiting", CLOCK, frame.waiting, "to decide"),
        (Section::Conversations, "/conversations", "Conversations", TALK, frame.unread, "unread"),
        (Section::Peers, "/peers", "Peers", PEOPLE, 0, ""),
        (Section::Evidence, "/evidence", "Evidence", LIST, 0, ""),
        (Section::Settings, "/settings", "Settings", SLIDERS, 0, ""),
    ];
    html! {
        nav .main aria-label="Main" {
            ul #navigation data-live {
                @for (section, href, label, icon, count, noun) in parts {
                    li {
                        a href=(href) aria-current=[(section == frame.section).then_some("page")] {
                            (PreEscaped(icon))
                            span { (label) }
                            @if count > 0 {
                                span .count { (count) span .sr { " " (noun) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether messages are decided about without the passphrase, and the button that ends it.
fn lock(frame: &Frame<'_>) -> Markup {
    html! {
        div #lock .lock data-live {
            @match frame.lock {
                Lock::Locked => a .quiet href="/settings#lock-settings" { "Locked" },
                Lock::Unlocked { idle_until, until } => {
                    span .unlocked data-unlocked {
                        "Unlocked " span .until { (time::left_at(idle_until.min(until))) }
                    }
                    (forms::button(frame, "/lock", "small", &html! { "Lock now" }))
                }
            }
        }
    }
}

fn notice(frame: &Frame<'_>) -> Markup {
    html! {
        @match frame.notice {
            None => {},
            Some(Notice::Done(done)) => p .notice.done role="status" { (text::line(done)) },
            Some(Notice::Trouble(error)) => div .notice.trouble role="alert" {
                p { strong { (text::line(&error.message)) } }
                p { "Next: " (text::line(&error.next)) }
            },
        }
    }
}

/// What the keys do. No key decides: `a` and `d` only go to the button.
fn help() -> Markup {
    let keys = [
        ("j", "to the next card"),
        ("k", "to the card before"),
        ("a", "to the approve button of the card that has the focus"),
        ("d", "to its deny button"),
        ("/", "to the search"),
        ("?", "this help"),
    ];
    html! {
        dialog #help aria-labelledby="help-title" {
            h2 #help-title { "Keys" }
            dl .keys { @for (key, does) in keys { div { dt { kbd { (key) } } dd { (does) } } } }
            p .hint { "No key approves or denies by itself: you press the button." }
            button #help-close type="button" { "Close" }
        }
    }
}

const MARK: &str = r#"<svg class="icon" viewBox="0 0 32 32" aria-hidden="true" focusable="false"><path class="first" d="M5 17.5l6 6L22 8"/><path class="second" d="M13.500 20.500l3 3L28 8"/></svg>"#;
const CLOCK: &str = r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.500 2"/></svg>"#;
const TALK: &str = r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="M4 5h16v11H10l-4.500 4v-4H4z"/></svg>"#;
const PEOPLE: &str = r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><circle cx="9" cy="8.500" r="3.500"/><path d="M2.500 20c0-4 3-6 6.500-6s6.500 2 6.500 6M16 5.500a3.500 3.500 0 0 1 0 6M18 14.500c2.300.8 3.500 2.700 3.500 5.500"/></svg>"#;
const LIST: &str = r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="M9 6h12M9 12h12M9 18h12"/><path d="M3 6l1 1 2-2M3 12l1 1 2-2M3 18l1 1 2-2"/></svg>"#;
const SLIDERS: &str = r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="M3 7h9M18 7h3M3 17h3M12 17h9"/><circle cx="15" cy="7" r="2.500"/><circle cx="9" cy="17" r="2.500"/></svg>"#;
