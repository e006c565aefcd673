// Nothing typed is lost: notes are kept in this tab until the server has taken them, also when the session ends while
// they are sent. After an answer that replaces part of the page, the eye and the focus go to what it says.
"use strict";
(() => {
  const sent = "endcap-sent";
  const key = (field) => `endcap-draft:${location.pathname}:${field.name}`;
  const keys = (form) => [...form.querySelectorAll("textarea")].map(key);
  const forget = (some) => some.forEach((one) => sessionStorage.removeItem(one));
  const read = () => JSON.parse(sessionStorage.getItem(sent) ?? "[]");
  const restore = () => {
    for (const field of document.querySelectorAll("textarea")) field.value ||= sessionStorage.getItem(key(field)) ?? "";
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("textarea")) sessionStorage.setItem(key(event.target), event.target.value);
  });
  // Without htmx the answer is a page: what was sent is forgotten there, unless it is the sign-in page.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("hx-post")) sessionStorage.setItem(sent, JSON.stringify([...read(), ...keys(form)]));
  });
  document.addEventListener("DOMContentLoaded", () => {
    if (!document.querySelector("input[type=password]")) {
      forget(read());
      sessionStorage.removeItem(sent);
    }
    restore();
  });
  let answered = false;
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceElement, response } = event.detail.ctx;
    const form = sourceElement?.closest("form");
    answered = Boolean(form);
    if (form && response.status < 400) forget(keys(form));
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
