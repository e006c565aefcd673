// Keys for people who work the queue all day: j/k next and previous, x select, o open, m claim, / search, ? help, 1…9 option.
// Everything they do is also a link or a button on the page; off with the switch on the help page. Never inside a field.
"use strict";
(() => {
  const off = () => localStorage.getItem("endcap-keys") === "off";
  const rows = () => [...document.querySelectorAll(".case-row")];
  let at = -1;
  const go = (step) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.classList.contains("on"));
    at = Math.min(Math.max((now < 0 ? -1 : now) + step, 0), all.length - 1);
    all.forEach((row, number) => row.classList.toggle("on", number === at));
    all[at].querySelector("h2 a")?.focus();
  };
  const current = () => document.querySelector(".case-row.on");
  const press = (selector, root = document) => root?.querySelector(selector)?.click();
  const actions = {
    j: () => go(1),
    k: () => go(-1),
    x: () => press("input[type=checkbox]", current()),
    o: () => press("h2 a", current()),
    m: () => press("button[data-key=m]", current() ?? document),
    c: () => document.querySelector("[data-key=c]")?.focus(),
    "/": () => document.querySelector("[data-key=search]")?.focus(),
    "?": () => press("[data-key=help]"),
  };
  document.addEventListener("keydown", (event) => {
    if (off() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select")) return;
    const option = /^[1-9]$/.test(event.key) && document.querySelector(`input[data-option="${event.key}"]`);
    if (option) {
      option.click();
      option.focus();
    } else if (actions[event.key]) {
      actions[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });
  const show = () => {
    const button = document.querySelector("[data-switch=keys]");
    if (button) button.textContent = off() ? "Switch the keys on" : "Switch the keys off";
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-switch=keys]")) return;
    localStorage.setItem("endcap-keys", off() ? "on" : "off");
    show();
  });
  // What was typed into a note outlives a session that ended while it was sent: it is forgotten only when the next page
  // is not the sign-in page.
  const key = (field) => `endcap-draft:${location.pathname}:${field.name}`;
  const sent = "endcap-sent";
  document.addEventListener("input", (event) => {
    if (event.target.matches("textarea")) sessionStorage.setItem(key(event.target), event.target.value);
  });
  document.addEventListener("submit", (event) => {
    const keys = [...event.target.querySelectorAll("textarea")].map(key);
    if (keys.length) sessionStorage.setItem(sent, JSON.stringify(keys));
  });
  document.addEventListener("DOMContentLoaded", () => {
    show();
    const asksToSignIn = document.querySelector("input[type=password]");
    if (!asksToSignIn) for (const one of JSON.parse(sessionStorage.getItem(sent) ?? "[]")) sessionStorage.removeItem(one);
    sessionStorage.removeItem(sent);
    for (const field of document.querySelectorAll("textarea")) field.value ||= sessionStorage.getItem(key(field)) ?? "";
  });
})();
