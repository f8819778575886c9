//! Every page, with texts that nobody wishes for, read tag by tag.

mod cast;
mod gallery;
mod markup;
mod pages;
mod replies;

use std::collections::BTreeSet;

use cast::Cast;
use markup::{Tag, tags};
use pages::{every_page, outside_pages};

use crate::base::text::is_hidden;

/// Every page with every cast, by name.
fn all() -> Vec<(String, String)> {
    let casts = [Cast::plain(), Cast::hostile(), Cast::long(), Cast::empty()];
    let inside = casts.iter().flat_map(|cast| {
        every_page(cast).into_iter().map(|(name, html)| (format!("{} {name}", cast.label), html))
    });
    inside.chain(outside_pages()).collect()
}

fn check_all(check: impl Fn(&[Tag]) -> Result<(), String>) {
    for (name, html) in all() {
        if let Err(problem) = check(&tags(&html)) {
            panic!("{name}: {problem}");
        }
    }
}

#[test]
fn no_text_of_anybodys_becomes_markup() {
    const TAGS: &str = "html head meta title link script body a header nav ul ol li span strong main \
                        p div h1 h2 h3 h4 svg path circle form input label button textarea select \
                        option article section footer details summary dl dt dd pre code q bdi mark \
                        time dialog kbd noscript datalist";
    let known: BTreeSet<&str> = TAGS.split_whitespace().collect();
    check_all(|tags| {
        for tag in tags {
            if !known.contains(tag.name.as_str()) {
                return Err(format!("a tag {tag:?}"));
            }
            for (name, _) in &tag.attributes {
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                if name == "style" || name.starts_with("on") || !plain {
                    return Err(format!("an attribute {name} in {tag:?}"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_script_and_a_style_come_from_their_own_files_alone() {
    for (name, html) in all() {
        let scripts = html.matches("<script").count();
        assert_eq!(scripts, 1, "{name}");
        assert!(html.contains("<script src=\"/page.js\" defer></script>"), "{name}");
        assert!(!html.contains("<style"), "{name}");
    }
}

#[test]
fn every_link_stays_on_this_page_and_none_comes_from_a_peers_text() {
    check_all(|tags| {
        for tag in tags {
            for name in ["href", "src", "action"] {
                let Some(target) = tag.attribute(name) else { continue };
                let inside = target.starts_with('#') || target.starts_with('/');
                let plain = target
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"/#?&=%-._~;".contains(&b));
                if !inside || target.starts_with("//") || !plain || target.contains("evil") {
                    return Err(format!("it leads elsewhere: {tag:?}"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn every_form_that_changes_something_has_the_token_and_no_other_has() {
    check_all(|tags| {
        for (form, inside) in markup::inside(tags, "form") {
            let post = form.attribute("method") == Some("post");
            let token = inside.iter().filter(|tag| tag.attribute("name") == Some("csrf")).count();
            if token != usize::from(post) {
                return Err(format!("{token} tokens in {form:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn every_page_of_a_session_carries_its_token_for_the_script() {
    for (name, html) in pages::every_page(&Cast::plain()) {
        assert!(html.contains("<meta name=\"csrf\" content=\"5e5510f70c3e\">"), "{name}");
    }
}

#[test]
fn every_field_has_its_label_and_every_id_is_one_of_its_kind() {
    check_all(|tags| {
        let mut ids = BTreeSet::new();
        for id in tags.iter().filter_map(|tag| tag.attribute("id")) {
            if !ids.insert(id) {
                return Err(format!("the id {id} stands there twice"));
            }
        }
        let named = |name: &str| -> BTreeSet<&str> {
            tags.iter()
                .filter_map(|tag| tag.attribute(name))
                .flat_map(str::split_whitespace)
                .collect()
        };
        let labels = named("for");
        let field = |tag: &&Tag| ["input", "select", "textarea"].contains(&tag.name.as_str());
        for tag in tags.iter().filter(field).filter(|tag| !tag.closes) {
            let labelled = tag.attribute("id").is_some_and(|id| labels.contains(id));
            if !labelled && tag.attribute("type") != Some("hidden") {
                return Err(format!("no label for {tag:?}"));
            }
        }
        for name in ["for", "aria-labelledby", "aria-describedby", "data-copy"] {
            if let Some(lost) = named(name).difference(&ids).next() {
                return Err(format!("{name} names {lost}, which is not there"));
            }
        }
        let live = |tag: &&Tag| tag.attribute("data-live").is_some();
        match tags.iter().filter(live).find(|tag| tag.attribute("id").is_none()) {
            Some(tag) => Err(format!("a live part has no id: {tag:?}")),
            None => Ok(()),
        }
    });
}

#[test]
fn what_nobody_sees_is_on_no_page() {
    for (name, html) in all() {
        let found = html.chars().find(|c| is_hidden(*c) && !matches!(c, '\n' | '\t'));
        assert_eq!(found, None, "{name}");
    }
}

#[test]
fn every_page_has_one_heading_one_main_part_and_a_way_to_it() {
    check_all(|tags| {
        let count = |name: &str| tags.iter().filter(|tag| tag.name == name && !tag.closes).count();
        let skip = tags.iter().any(|tag| tag.attribute("href") == Some("#main"));
        let positive = tags
            .iter()
            .filter_map(|tag| tag.attribute("tabindex"))
            .any(|at| !["0", "-1"].contains(&at));
        if count("h1") == 1 && count("main") == 1 && skip && !positive {
            Ok(())
        } else {
            Err("it has not".into())
        }
    });
}

#[test]
fn a_password_field_says_what_it_is_for_and_asks_afresh_where_it_must() {
    check_all(|tags| {
        for tag in tags.iter().filter(|tag| tag.attribute("type") == Some("password")) {
            let kind = tag.attribute("autocomplete").unwrap_or_default();
            if !["current-password", "new-password"].contains(&kind)
                || tag.attribute("value").is_some()
            {
                return Err(format!("{tag:?}"));
            }
        }
        Ok(())
    });
}

/// The names of the fields of the one form with this action.
fn fields(html: &str, action: &str) -> Vec<String> {
    let tags = tags(html);
    let forms = markup::inside(&tags, "form");
    let mut of_action = forms.iter().filter(|(form, _)| form.attribute("action") == Some(action));
    let (_, inside) = of_action.next().unwrap_or_else(|| panic!("no form {action}"));
    inside.iter().filter_map(|tag| tag.attribute("name")).map(str::to_owned).collect()
}

#[test]
fn what_repeats_has_its_grant_first_and_open_and_nothing_chosen() {
    let cast = Cast::plain();
    let place = |html: &str, text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
    let (grant, once) =
        ("action=\"/waiting/mmmmmmmm/grant\"", "action=\"/waiting/mmmmmmmm/approve\"");
    let first = pages::decisions(&cast, true).message;
    assert!(place(&first, once) < place(&first, grant));
    assert!(!first.contains("<details class=\"more\" open") && !first.contains("like this"));
    let again = pages::repeated(&cast, 3);
    assert!(place(&again, grant) < place(&again, once));
    assert!(again.contains("<details class=\"more\" open"));
    assert!(again.contains("You approved 3 like this in the last 24 hours"), "{again}");
    assert!(!again.contains("checked") && !again.contains("autofocus"), "{again}");
}

#[test]
fn an_unlocked_page_asks_for_the_passphrase_where_more_than_a_message_is_at_stake() {
    let cast = Cast::plain();
    let (locked, unlocked) = (pages::decisions(&cast, false), pages::decisions(&cast, true));
    let check =
        |html: &str, action: &str, expected: &[&str]| assert_eq!(fields(html, action), expected);
    check(&locked.message, "/waiting/mmmmmmmm/approve", &["csrf", "digest", "passphrase"]);
    check(&unlocked.message, "/waiting/mmmmmmmm/approve", &["csrf", "digest"]);
    let narrower = ["per_hour", "same_kind"];
    let grant = ["csrf", "digest", "hours", "messages", narrower[0], narrower[1], "passphrase"];
    check(&locked.message, "/waiting/mmmmmmmm/grant", &grant);
    check(&unlocked.message, "/waiting/mmmmmmmm/grant", &grant);
    let pairing = ["csrf", "digest", "verified", "passphrase"];
    check(&locked.pairing, "/waiting/pppppppp/approve", &pairing);
    check(&unlocked.pairing, "/waiting/pppppppp/approve", &pairing);
    assert!(!unlocked.pairing.contains("/grant\""), "no grant for a pairing");
    check(&locked.message, "/waiting/mmmmmmmm/deny", &["csrf"]);
    check(&locked.pairing, "/waiting/pppppppp/block", &["csrf"]);
}

#[test]
fn a_passphrase_field_says_what_it_unlocks_and_what_not() {
    const MESSAGES: &str =
        "For the next 10 minutes messages need only a click; Lock now ends that.";
    const ALONE: &str = "for this decision alone";
    let shown = pages::decisions(&Cast::plain(), false);
    let hint = |html: &str, id: &str| {
        let at = html.split(&format!("id=\"passphrase-{id}-hint\">")).nth(1).unwrap();
        at.split('<').next().unwrap().to_owned()
    };
    assert_eq!(hint(&shown.message, "mmmmmmmm"), MESSAGES);
    assert!(hint(&shown.message, "grant-mmmmmmmm").contains(ALONE));
    assert!(hint(&shown.pairing, "pppppppp").contains(ALONE));
    let page = |name: &str| {
        let mut pages = pages::every_page(&Cast::plain()).into_iter();
        pages.find(|(known, _)| *known == name).unwrap().1
    };
    assert!(hint(&page("settings-locked"), "unlock").starts_with(MESSAGES));
    assert!(hint(&page("settings-locked"), "inline").contains(ALONE));
    assert!(hint(&page("conversation-answer"), "write").ends_with(MESSAGES));
    let (_, setup) = outside_pages().remove(0);
    assert!(setup.contains(MESSAGES));
}

#[test]
fn an_item_that_is_not_ready_or_not_what_it_seems_can_be_denied_alone() {
    let shown = pages::decisions(&Cast::plain(), true);
    for (html, id) in [(&shown.not_ready, "nnnnnnnn"), (&shown.broken, "mmmmmmmm")] {
        assert_eq!(fields(html, &format!("/waiting/{id}/deny")), ["csrf"]);
        assert!(!html.contains("/approve\"") && !html.contains("/grant\""));
    }
    assert!(shown.broken.contains("do not approve it"));
}

#[test]
fn whose_texts_were_read_before_is_shown_with_what_they_lead_to() {
    let shown = pages::decisions(&Cast::plain(), true);
    let says = "had read texts of these peers";
    assert!(shown.message.contains(says) && shown.message.contains("Your yes names them"));
    assert!(!shown.pairing.contains(says));
}

#[test]
fn a_payload_is_shown_whole() {
    let cast = Cast::long();
    let html = pages::decisions(&cast, true).message;
    assert!(html.contains("65536 bytes"));
    assert_eq!(html.matches("wall").count(), 65536 / 5);
}
