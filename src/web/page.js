// The page's only script: live updates, keys that move the focus, copying, times, notifications.
// Nothing in here decides: a decision is a form that a person submits with its own button.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const announce = (text) => { const at = byId("announce"); if (at) at.textContent = text; };

  // Notifications: on where the person switched them on, and never with words of a peer's.
  const SWITCH = "countersign.notifications";
  const stored = () => { try { return localStorage.getItem(SWITCH) === "on"; } catch { return false; } };
  const store = (on) => { try { localStorage.setItem(SWITCH, on ? "on" : "off"); } catch { /* They stay off. */ } };

  // Other ports of this machine are sent the session's cookie, but cannot read what is stored here. So
  // each form carries a key, which is new with each link and kept once that link has opened the page.
  const KEY = "countersign.key";
  const OPENING = "countersign.opening";
  const openForm = byId("open");
  try {
    const key = sessionStorage.getItem(OPENING);
    sessionStorage.removeItem(OPENING);
    if (key && !openForm) localStorage.setItem(KEY, key);
  } catch { /* Without a key, each yes takes the passphrase. */ }
  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const opening = openForm && random();
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "post") return;
    try {
      if (opening) sessionStorage.setItem(OPENING, opening);
      event.formData.set("origin_key", opening || localStorage.getItem(KEY) || "");
      if (event.target.getAttribute("action") === "/sign-out") localStorage.removeItem(KEY);
    } catch { /* As above. */ }
  });

  // The link's code. It leaves the address before anything else happens.
  if (openForm) {
    const enter = () => {
      const code = location.hash.slice(1);
      history.replaceState(null, "", location.pathname);
      if (!code) return;
      byId("code").value = code;
      openForm.requestSubmit();
    };
    enter();
    // A second link in this tab changes only what stands behind the path.
    addEventListener("hashchange", enter);
    return;
  }

  // Times. The server sends absolute ones; these say how long.
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const span = (seconds) => {
    const [name, size] = UNITS.find(([, size]) => seconds >= size) || ["second", 1];
    const count = Math.floor(seconds / size);
    return `${count} ${name}${count === 1 ? "" : "s"}`;
  };
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const time = (element) => {
    const at = Date.parse(element.dateTime);
    if (Number.isNaN(at)) return;
    const absolute = local.format(at);
    element.title = absolute;
    const seconds = (Date.now() - at) / 1000;
    if (element.dataset.when === "ago") {
      if (seconds > 7 * 86400) element.textContent = absolute;
      else element.textContent = seconds < 45 ? "just now" : `${span(seconds)} ago`;
    } else {
      element.textContent = seconds < 0 ? `${absolute} (${span(-seconds)} left)` : `${absolute} (over)`;
    }
  };
  let lockedAt = "";
  const lockTime = () => {
    for (const element of all("#lock time")) {
      const left = (Date.parse(element.dateTime) - Date.now()) / 1000;
      element.textContent = left > 0 ? `${span(left)} left` : "over";
      // When it is over, the server's page has the passphrase fields: read it again, once.
      if (left <= 0 && lockedAt !== element.dateTime) { lockedAt = element.dateTime; refresh(); }
    }
  };
  const times = (from = document) => all("time[data-when]", from).forEach(time);

  // Live parts. What the server last sent is kept, because the script changes times in it.
  const sent = new WeakMap();
  const remember = () => all("[data-live], [data-live=items] > *").forEach((e) => sent.set(e, e.outerHTML));
  const changed = (field) => {
    if (field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") {
      const first = Array.from(field.options).findIndex((option) => option.defaultSelected);
      return field.selectedIndex !== Math.max(first, 0);
    }
    return field.type !== "hidden" && field.value !== field.defaultValue;
  };
  const selecting = (element) => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && selection.containsNode(element, true);
  };
  const busy = (element) => (element.contains(document.activeElement) && document.activeElement !== document.body)
    || all("input, textarea, select", element).some(changed) || selecting(element);

  // What a person opened or scrolled stays so.
  const adopt = (old, fresh) => {
    const opened = all("details", old);
    all("details", fresh).forEach((part, at) => { if (opened[at]) part.open = opened[at].open; });
    const scrolled = all(".payload, .said", old).map((part) => part.scrollTop);
    old.replaceWith(fresh);
    all(".payload, .said", fresh).forEach((part, at) => { part.scrollTop = scrolled[at] || 0; });
  };
  const replace = (old, next) => {
    const html = next.outerHTML;
    if (sent.get(old) === html || busy(old)) return;
    const fresh = document.importNode(next, true);
    adopt(old, fresh);
    sent.set(fresh, html);
    times(fresh);
  };
  const replaceItems = (list, next) => {
    const kept = new Set(Array.from(next.children, (item) => item.id));
    for (const item of Array.from(list.children)) {
      if (kept.has(item.id)) continue;
      if (!busy(item)) item.remove();
      else if (!item.dataset.gone) {
        item.dataset.gone = "yes";
        const note = document.createElement("p");
        note.className = "wait";
        note.textContent = "This was decided elsewhere, or its time is over.";
        item.prepend(note);
        announce(note.textContent);
      }
    }
    Array.from(next.children).forEach((item, at) => {
      const old = byId(item.id);
      if (old && list.contains(old)) { replace(old, item); return; }
      const fresh = document.importNode(item, true);
      list.insertBefore(fresh, list.children[at] || null);
      sent.set(fresh, item.outerHTML);
      times(fresh);
    });
  };

  const newest = () => byId("talk")?.lastElementChild;
  const toNewest = () => newest()?.scrollIntoView({ block: "end" });
  const atNewest = () => newest() && newest().getBoundingClientRect().bottom < innerHeight + 120;
  // A page is adopted when it carries this session's token: whoever answers at this port otherwise
  // is not the node that this page came from.
  const token = (page) => page.querySelector("meta[name=csrf]")?.content;
  let reading = false;
  let again = false;
  let ended = false;
  let answered = false;
  const read = () => fetch(location.href, { headers: { "X-Background": "1" }, credentials: "same-origin" });
  const refresh = async () => {
    if (reading) { again = true; return; }
    reading = true;
    answered = false;
    try {
      const answer = await read();
      answered = true;
      // A session that ended leads elsewhere: leave what is on the screen, and say so.
      ended = answer.redirected || answer.status === 401 || answer.status === 403;
      const text = ended || !answer.ok ? "" : await answer.text();
      const fresh = new DOMParser().parseFromString(text, "text/html");
      if (text && !token(fresh)) ended = true;
      if (ended) gone("This page is no longer open. Open it again with: countersign page --open");
      if (!text || ended) return;
      if (token(fresh) !== token(document)) { location.reload(); return; }
      const follow = atNewest();
      for (const old of all("[data-live]")) {
        const next = fresh.getElementById(old.id);
        if (!next) continue;
        if (old.dataset.live === "items") replaceItems(old, next); else replace(old, next);
      }
      if (follow) toNewest();
      lockTime();
    } catch { /* The event stream says when the node is gone. */ } finally {
      reading = false;
      if (again) { again = false; refresh(); }
    }
  };

  // What the node says over the event stream.
  const title = document.title.replace(/^\(\d+\) /, "");
  const gone = (text) => { const at = byId("connection"); if (at && at.textContent !== text) at.textContent = text; };
  let wait = 1000;
  const tell = (now) => {
    document.title = (now > 0 ? `(${now}) ` : "") + title;
  };
  // The node says when a person may be interrupted, and about how many items; a count that grows is
  // no reason to.
  const alerted = (items) => {
    const text = items > 1 ? `${items} more wait for your decision.` : "Something waits for your decision.";
    announce(text);
    notify(text);
  };
  const listen = () => {
    const events = new EventSource("/events");
    events.addEventListener("open", () => {
      if (wait > 1000) refresh();
      wait = 1000;
      gone("");
    });
    events.addEventListener("changed", (event) => {
      let hint = {};
      try { hint = JSON.parse(event.data); } catch { /* A hint that cannot be read is a hint all the same. */ }
      if (Number.isInteger(hint.waiting)) tell(hint.waiting);
      if (Number.isInteger(hint.alert)) alerted(hint.alert);
      refresh();
    });
    events.addEventListener("error", async () => {
      events.close();
      await refresh();
      if (ended) return;
      if (!answered) gone("The node does not answer. Trying again…");
      setTimeout(listen, wait);
      wait = Math.min(wait * 2, 30000);
    });
  };

  const notify = (body) => {
    if (!stored() || !("Notification" in window) || Notification.permission !== "granted") return;
    if (document.visibilityState === "visible" && document.hasFocus()) return;
    const shown = new Notification("Countersign", { body, tag: "waiting" });
    shown.onclick = () => { window.focus(); shown.close(); };
  };
  const settings = byId("notifications");
  if (settings && "Notification" in window) {
    const button = byId("notifications-switch");
    const show = () => {
      const on = stored() && Notification.permission === "granted";
      const refused = Notification.permission === "denied";
      byId("notifications-state").textContent = refused
        ? "This browser does not allow them for this page; change that in its settings."
        : on ? "They are on in this browser." : "They are off in this browser.";
      button.textContent = on ? "Turn off" : "Turn on";
      button.hidden = refused;
    };
    button.addEventListener("click", async () => {
      if (stored() && Notification.permission === "granted") store(false);
      else store((await Notification.requestPermission()) === "granted");
      show();
    });
    settings.hidden = false;
    show();
  }

  // Copying.
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(byId(button.dataset.copy).textContent);
        announce("Copied.");
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(byId(button.dataset.copy));
        announce("Copying is not allowed here; the text is selected.");
      }
    });
  }

  // Keys only move the focus.
  const cards = () => all("[data-card], .bubble, .list .row-link");
  const current = () => cards().find((card) => card.contains(document.activeElement));
  const step = (by) => {
    const list = cards();
    const at = list.indexOf(current());
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : at + by];
    if (!next) return;
    if (!next.matches("a")) next.tabIndex = -1;
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const focusIn = (selector) => {
    const found = (current() || cards()[0])?.querySelector(selector);
    if (found) { found.focus(); found.scrollIntoView({ block: "nearest" }); }
  };
  const help = byId("help");
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    a: () => focusIn("[data-approve]"),
    d: () => focusIn("[data-deny]"),
    "/": () => { const box = document.querySelector("[data-search]"); if (box) box.focus(); else location.assign("/search"); },
    "?": () => help && !help.open && help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || (help && help.open)) return;
    const act = Object.hasOwn(keys, event.key) && keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  if (help) {
    byId("help-close").addEventListener("click", () => help.close());
    for (const button of all("[data-help]")) {
      button.hidden = false;
      button.addEventListener("click", () => help.showModal());
    }
  }

  // Words that were typed and not sent outlive a reload of this tab.
  for (const box of all("[data-keep]")) {
    const place = `countersign.draft.${location.pathname}`;
    try {
      if (!box.value) box.value = sessionStorage.getItem(place) || "";
      box.addEventListener("input", () => sessionStorage.setItem(place, box.value));
      box.form.addEventListener("submit", () => sessionStorage.removeItem(place));
    } catch { /* Nothing is kept where nothing may be stored. */ }
  }

  for (const form of all('form[action="/sign-out"]')) {
    form.addEventListener("submit", () => { try { sessionStorage.clear(); } catch { /* Nothing was stored. */ } });
  }

  // On a wide screen the threads stand beside the messages, so they can be open.
  const threads = document.querySelector(".threads details");
  if (threads && matchMedia("(min-width: 75rem)").matches) threads.open = true;

  const tick = () => { times(); lockTime(); };
  remember();
  tick();
  setInterval(tick, 15000);
  // Timers sleep with the machine and in a tab that is not looked at.
  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState !== "visible") return;
    tick();
    if (!ended) return;
    await refresh();
    // Another tab has opened a session: the forms in here belong to the former one.
    if (!ended) location.reload();
  });
  const older = new URLSearchParams(location.search).has("before");
  if (!location.hash && !older) toNewest();
  if (document.querySelector("[data-live]") && location.protocol !== "file:") listen();
})();
