// Open pages hear at once what has changed, by one stream of events, and ask for what they show anew. Without a stream
// (an old browser, a proxy that breaks it, too many pages) they look by themselves every fifteen seconds, as before.
// No row moves: rows that have changed are asked for alone and put in their places; the list is asked for with the rows
// that it shows, and what is new is announced.
"use strict";
(() => {
  const POLL_MS = 15_000;
  const NEW_MS = 3_000; // a new case is announced so soon
  const SHOWN_MS = 1_000; // a row on this page that has changed
  const TRY_AGAIN_MS = 60_000;
  let stream = null;
  let since = null;
  let last = Date.now(); // when the list was asked for last
  let timer = null;
  let wanted = Infinity; // when it will be asked for next

  const list = () => document.querySelector("[data-live=cases]");
  const rows = () => document.getElementById("rows");
  const refresh = (element) => element?.dispatchEvent(new CustomEvent("refresh"));
  const busy = new Set(); // which of the two is being asked for; never both: the older answer might come last
  let looksNext = false;
  const look = () => {
    clearTimeout(timer);
    timer = null;
    wanted = Infinity;
    last = Date.now();
    looksNext = busy.has("rows");
    if (!looksNext) refresh(list());
  };
  const within = (ms) => {
    const at = Math.max(last + ms, Date.now());
    if (timer && wanted <= at) return;
    clearTimeout(timer);
    wanted = at;
    timer = setTimeout(look, at - Date.now());
  };
  const isOlder = (element, version) => element !== null && Number(element.dataset.version ?? 0) < version;

  // Rows that are older than what was told of them, by the number of their case.
  const told = new Map();
  let lastRows = 0;
  let rowsTimer = null;
  const rowOf = (id) => document.getElementById(`case-${id}`);
  const forget = () => {
    for (const [id, version] of told) if (!isOlder(rowOf(id), version)) told.delete(id);
  };
  const field = ([id, version]) => {
    const input = Object.assign(document.createElement("input"), { type: "hidden", name: "row", value: id });
    input.dataset.version = version;
    return input;
  };
  const askForRows = () => {
    rowsTimer = null;
    forget();
    if (!told.size || !rows() || busy.size) return;
    lastRows = Date.now();
    rows().replaceChildren(...[...told].map(field));
    refresh(rows());
  };
  const rowsSoon = () => {
    rowsTimer ??= setTimeout(askForRows, Math.max(lastRows + SHOWN_MS - Date.now(), 0));
  };
  const isOurs = (event) => event.target === list() || event.target === rows();
  document.addEventListener("htmx:before:request", (event) => isOurs(event) && busy.add(event.target.id));
  document.addEventListener("htmx:finally:request", (event) => {
    if (!isOurs(event)) return;
    busy.delete(event.target.id);
    if (event.target === rows()) {
      // What did not come (nobody sees it there any more, or the answer was lost) shows itself with the whole list.
      const missing = [...rows().children].filter(({ value, dataset }) => isOlder(rowOf(value), Number(dataset.version)));
      for (const { value } of missing) told.delete(value);
      if (missing.length) within(SHOWN_MS);
      rows().replaceChildren();
    }
    forget();
    if (looksNext) look();
    else if (told.size) rowsSoon();
  });

  const changed = (news) => {
    const cases = Object.entries(news.case ?? {});
    if (list() && window.htmx) {
      for (const [id, version] of cases) if (isOlder(rowOf(id), version)) told.set(id, Math.max(version, told.get(id) ?? 0));
      if (told.size) rowsSoon();
      if (news.many) within(SHOWN_MS);
      else if (news.look) within(0); // pages that see the same look together: one reading is enough for them
      else if (news.new?.includes("case")) within(NEW_MS);
      else if (cases.length) within(POLL_MS);
    }
    // What reads itself anew needs no notice: the list, and a decision until it is through. Without htmx neither does.
    const notice = document.querySelector("[data-live-notice]");
    if (!notice || (window.htmx && (list() || document.querySelector("[data-watched]")))) return;
    const of = notice.dataset.liveNotice; // case, approval
    const shown = [...document.querySelectorAll(`[data-${of}]`)];
    const inList = cases.some(([id, version]) => isOlder(rowOf(id), version));
    const here = inList || shown.some((row) => isOlder(row, news[of]?.[row.dataset[of]] ?? 0));
    if (here || (notice.dataset.liveNew === "yes" && news.new?.includes(of))) notice.hidden = false;
  };
  // After what this page did itself it shows the newest version already.
  document.addEventListener("htmx:after:swap", () => {
    const notice = document.querySelector("[data-live-notice=case]");
    if (notice) notice.hidden = true;
  });

  const poll = () => {
    if (!stream && !document.hidden && list()) within(POLL_MS);
  };
  setInterval(poll, POLL_MS / 3);

  const close = () => {
    stream?.close();
    stream = null;
  };
  const open = () => {
    const page = document.querySelector("[data-live], [data-live-notice]");
    if (stream || !page || document.hidden || !window.EventSource) return;
    since ??= document.body.dataset.since ?? "";
    stream = new EventSource(`/console/live?since=${encodeURIComponent(since)}`);
    stream.addEventListener("open", () => (document.body.dataset.hears = "yes"));
    stream.addEventListener("changed", (event) => {
      since = event.lastEventId;
      changed(JSON.parse(event.data));
    });
    stream.addEventListener("ended", (event) => {
      close();
      delete document.body.dataset.hears;
      if (event.data === "signed_out") document.getElementById("signed-out")?.removeAttribute("hidden");
    });
    stream.addEventListener("error", () => {
      delete document.body.dataset.hears;
      if (stream?.readyState !== EventSource.CLOSED) return; // it tries again by itself
      close(); // refused: try again later
      setTimeout(open, TRY_AGAIN_MS * (0.5 + Math.random()));
    });
  };
  // A page that nobody looks at listens to nothing: browsers open six connections to a host, and no more.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  // What is told before htmx is there would be lost; a CDN that does not answer is not waited for any longer than this.
  const HTMX_MS = 5_000;
  const begin = () => {
    if (window.htmx) document.querySelector("[data-refreshes]")?.removeAttribute("hidden");
    open();
  };
  document.addEventListener("DOMContentLoaded", () => {
    const script = document.querySelector("script[integrity]");
    if (window.htmx || !script) return begin();
    for (const settled of ["load", "error"]) script.addEventListener(settled, begin);
    setTimeout(begin, HTMX_MS);
  });
})();
