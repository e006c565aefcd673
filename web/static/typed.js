// Nothing typed is lost: notes are kept in this tab until the server has taken them, and whole forms when the session has
// ended while they are sent; each person's own, where several use one device. After an answer that replaces part of the page, the eye and the focus go to what it says.
"use strict";
(() => {
  const sent = "endcap-sent";
  const who = document.body.dataset.person;
  const key = (field) => `endcap-draft:${who}:${location.pathname}:${field.name}`;
  const keys = (form) => [...form.querySelectorAll("textarea")].map(key);
  const forget = (some) => some.forEach((one) => sessionStorage.removeItem(one));
  const read = () => JSON.parse(sessionStorage.getItem(sent) ?? "[]");
  const restore = () => {
    for (const field of document.querySelectorAll("textarea")) field.value ||= sessionStorage.getItem(key(field)) ?? "";
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("textarea")) sessionStorage.setItem(key(event.target), event.target.value);
  });
  // Without htmx (a form that it does not send, or a CDN that does not answer) the answer is a page: what was sent is forgotten there, unless it is the sign-in page, or one that says that it failed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("hx-post") || !window.htmx) sessionStorage.setItem(sent, JSON.stringify([...read(), ...keys(form)]));
  });
  // A form that found its session ended is kept whole, choices as well, until its page is there again.
  const ended = "endcap-ended";
  const place = (form) => new URL(form.action, location.href).pathname;
  const keep = (form) => {
    const fields = [...new FormData(form)].filter(([, value]) => typeof value === "string");
    sessionStorage.setItem(ended, JSON.stringify({ who, at: location.pathname, to: place(form), fields }));
  };
  const bringBack = () => {
    const kept = JSON.parse(sessionStorage.getItem(ended) ?? "null");
    if (kept?.who !== who || kept?.at !== location.pathname) return;
    const form = [...document.forms].find((one) => one.method === "post" && place(one) === kept.to);
    if (!form) return; // its texts are still kept by name, and come back when the form does
    sessionStorage.removeItem(ended);
    for (const field of form.elements) {
      const values = kept.fields.filter(([name]) => name === field.name);
      if (!field.name || field.matches("[type=hidden], [type=password], button")) continue;
      if (field.matches("[type=checkbox], [type=radio]")) field.checked = values.some(([, value]) => value === field.value);
      else if (values.length) field.value = kept.fields.splice(kept.fields.indexOf(values[0]), 1)[0][1];
      for (let fold = field.closest("details"); fold && values.length; fold = fold.parentElement.closest("details")) fold.open = true;
    }
    const said = document.createElement("div");
    said.className = "notice warn";
    said.textContent = "You were signed out before this was sent, so nothing of it was done. What you had written is in the "
      + "form again: look at it, then send it.";
    document.getElementById("flash").append(said);
  };
  document.addEventListener("DOMContentLoaded", () => {
    if (!document.querySelector("input[type=password], [data-problem]")) {
      forget(read());
      sessionStorage.removeItem(sent);
    }
    restore();
    bringBack();
  });
  // A form that no answer came to: it is still there as it was, and somebody who waits for the next page would wait long.
  const UNANSWERED = "No answer came; the network may be gone. What you entered is still here: send it again in a moment.";
  const formOf = (event) => event.detail.ctx?.sourceElement?.closest("form");
  const clear = () => document.getElementById("unanswered")?.remove();
  document.addEventListener("htmx:error", (event) => {
    if (!formOf(event) || event.detail.ctx.response) return;
    clear();
    const said = Object.assign(document.createElement("div"), { id: "unanswered", className: "notice bad", tabIndex: -1 });
    said.setAttribute("role", "alert");
    said.textContent = UNANSWERED;
    document.getElementById("flash").append(said);
    said.focus();
  });
  document.addEventListener("htmx:before:request", (event) => formOf(event) && clear());
  let answered = false;
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceElement, response } = event.detail.ctx;
    const form = sourceElement?.closest("form");
    answered = Boolean(form);
    if (form && response.status < 400) forget(keys(form));
    if (form && response.status === 401) keep(form);
  });
  document.addEventListener("htmx:after:swap", () => {
    restore();
    if (!answered) return; // a list that refreshes itself takes nobody's focus away
    answered = false;
    const places = ["#flash [role=alert]", "#case [role=alert]", "#case .notice", "#case h1",
      "#work [role=alert]", "#work [data-said]", "#work h1"];
    const said = places.map((one) => document.querySelector(one)).find(Boolean);
    said?.setAttribute("tabindex", "-1");
    said?.focus();
    said?.scrollIntoView({ block: "nearest" });
  });
})();
