use super::*;

/// A page as a URL.
fn data(html: &str) -> String {
    format!("data:text/html;base64,{}", BASE64.encode(html.as_bytes()))
}

const FORM: &str = "<!doctype html><html lang=en><title>t</title><body style='height:3000px'>
    <div style='height:1500px'></div><form onsubmit='event.preventDefault(); \
    out.textContent = `sent ${field.value}`'><label>Say <input id=field></label>
    <button id=go>Go</button></form><p id=out></p>
    <script>addEventListener('keydown', e => { window.last = e.key + (e.shiftKey ? '+' : ''); });
    go.addEventListener('click', e => { window.trusted = e.isTrusted; });</script>";

#[test]
fn a_click_and_keys_reach_the_page_as_a_persons_do() {
    let Some(browser) = browser() else { return };
    let page = browser.page();
    page.goto(&data(FORM));
    page.type_into("#field", "hello \"wörld\" 7");
    page.press("Enter");
    page.wait_for("out.textContent !== ''");
    assert_eq!(page.text("#out"), "sent hello \"wörld\" 7");
    page.press("Shift+Tab");
    assert_eq!(page.eval("window.last"), "Tab+");
    page.click("#go");
    assert_eq!(page.eval("window.trusted"), true);
    assert!(page.exists("#go") && !page.exists("#none"));
    assert_eq!(page.problems(), Vec::<String>::new());
    page.reload();
    assert_eq!(page.text("#out"), "");
}

#[test]
fn what_is_wrong_on_a_page_is_kept() {
    let Some(browser) = browser() else { return };
    let page = browser.page();
    page.goto(&data(
        "<script>console.error('one'); alert('two'); throw new Error('three')</script>",
    ));
    let found = page.problems().join("\n");
    for part in ["one", "two", "three"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let page = browser.page();
    let policy = "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">";
    page.goto(&data(&format!("{policy}<script>document.title = 'ran'</script>")));
    let found = page.problems().join("\n");
    assert!(found.to_lowercase().contains("policy"), "{found}");
    assert_eq!(page.eval("document.title"), "", "and its script did not run");
}

#[test]
fn a_stranger_has_no_cookie_of_ours_and_nothing_leads_off_this_machine() {
    let Some(browser) = browser() else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let server = super::super::http::serve_pages(listener, "<title>here</title>");
    let (mine, also_mine, theirs) = (browser.page(), browser.page(), browser.stranger());
    for page in [&mine, &also_mine, &theirs] {
        page.goto(&url);
    }
    mine.eval("document.cookie = 'a=b'; localStorage.x = 1");
    assert_eq!(also_mine.eval("document.cookie"), "a=b");
    assert_eq!(theirs.eval("document.cookie + localStorage.length"), "0");
    assert!(mine.try_goto("http://example.com/").is_some_and(|e| e.contains("NAME_NOT_RESOLVED")));
    drop(server);
}

#[test]
fn a_picture_has_the_size_and_the_colours_that_are_asked_for() {
    let Some(browser) = browser() else { return };
    let page = browser.page();
    page.goto(&data("<meta name=viewport content='width=device-width'><p>x"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.png");
    page.screenshot(&path, 390, 844, true);
    let bytes = fs::read(&path).unwrap();
    assert_eq!((&bytes[1..4], &bytes[16..24]), (&b"PNG"[..], &[0, 0, 1, 134, 0, 0, 3, 76][..]));
    assert_eq!(page.eval("matchMedia('(prefers-color-scheme: dark)').matches"), true);
    page.looks(1280, 800, false);
    assert_eq!(page.eval("innerWidth"), 1280);
    assert_eq!(page.eval("matchMedia('(prefers-color-scheme: dark)').matches"), false);
}

#[test]
fn axe_finds_what_is_wrong_and_is_content_with_what_is_not() {
    let Some(browser) = browser() else { return };
    if axe().is_none() {
        return;
    }
    let page = browser.page();
    let policy = "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">";
    page.goto(&data(&format!(
        "<!doctype html><html lang=en>{policy}<title>t</title><main><h1>h</h1>"
    )));
    assert_eq!(page.axe_violations(&[]), Vec::<String>::new());
    page.goto(&data("<!doctype html><html lang=en><title>t</title><main><h1>h</h1><img src=x>"));
    let found = page.axe_violations(&[]);
    assert!(found.iter().any(|line| line.starts_with("image-alt")), "{found:?}");
    assert_eq!(page.axe_violations(&["color-contrast"]), Vec::<String>::new());
    page.goto(&data("<!doctype html><html lang=en><title>t</title><main style='color:#eee'>pale"));
    let found = page.axe_violations(&["color-contrast"]);
    assert!(matches!(&found[..], [line] if line.starts_with("color-contrast")), "{found:?}");
}
