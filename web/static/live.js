// Open pages hear at once what has changed, by one stream of events, and ask for what they show anew. Without a stream
// (an old browser, a proxy that breaks it, too many pages) they look by themselves every fifteen seconds, as before.
// No row moves: the list is asked for with the rows that it shows, and what is new is announced.
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
  const look = () => {
    clearTimeout(timer);
    timer = null;
    wanted = Infinity;
    last = Date.now();
    list()?.dispatchEvent(new CustomEvent("refresh"));
  };
  const within = (ms) => {
    const at = Math.max(last + ms, Date.now());
    if (timer && wanted <= at) return;
    clearTimeout(timer);
    wanted = at;
    timer = setTimeout(look, at - Date.now());
  };
  const isOlder = (element, version) => element !== null && Number(element.dataset.version ?? 0) < version;

  const changed = (told) => {
    const cases = Object.entries(told.case ?? {});
    if (list()) {
      const touched = cases.some(([id, version]) => isOlder(document.getElementById(`case-${id}`), version));
      if (told.many || touched) within(SHOWN_MS);
      else if (told.new?.includes("case")) within(NEW_MS);
      else if (cases.length) within(POLL_MS * (0.7 + 0.3 * Math.random())); // pages of one morning not all at once
    }
    const notice = document.querySelector("[data-live-notice]");
    if (!notice) return;
    const of = notice.dataset.liveNotice; // case, approval
    const rows = [...document.querySelectorAll(`[data-${of}]`)];
    const here = rows.some((row) => isOlder(row, told[of]?.[row.dataset[of]] ?? 0));
    if (here || (notice.dataset.liveNew === "yes" && told.new?.includes(of))) notice.hidden = false;
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
  document.addEventListener("DOMContentLoaded", open);
})();
