// Keys for people who work the queue all day; the help page lists them. Everything they do is also a link or a button on
// the page. A switch on the help page turns them off for this browser; inside a field they never act.
"use strict";
(() => {
  const off = () => localStorage.getItem("endcap-keys") === "off";
  const rows = () => [...document.querySelectorAll(".case-row")];
  let current = null; // the id of the row: the list is rendered anew every few seconds
  const row = () => document.activeElement?.closest(".case-row") ?? (current && document.getElementById(current));
  const mark = () => rows().forEach((one) => one.classList.toggle("on", one.id === current));
  const go = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(row());
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    current = next.id;
    mark();
    next.querySelector("h2 a")?.focus();
  };
  const press = (selector, root = document) => root?.querySelector(selector)?.click();
  const write = (selector) => {
    const field = document.querySelector(selector);
    for (let fold = field?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    field?.focus();
  };
  const actions = {
    j: () => go(1),
    k: () => go(-1),
    x: () => press("input[type=checkbox]", row()),
    o: () => press("h2 a", row()),
    m: () => press("button[data-key=m]", rows().length ? row() : document),
    n: () => press("[data-key=n]"),
    e: () => (rows().length ? press("button[data-key=e]") : document.querySelector("input[data-option]:enabled")?.focus()),
    a: () => write("input[data-key=a]"),
    w: () => write("input[data-key=w]"),
    u: () => press("button[data-key=u]"),
    c: () => write("[data-key=c]"),
    "/": () => write("[data-key=search]"),
    "?": () => press("[data-key=help]"),
  };
  // Enter among the ways out decides; where the chosen one still asks for something, it goes there first.
  const confirm = (event) => {
    if (event.target.matches("select[name=span]")) {
      event.preventDefault();
      event.target.form.requestSubmit();
      return;
    }
    const form = event.target.closest(".options") && event.target.form;
    if (!form || event.target.closest("summary, a, button")) return;
    const box = form.querySelector("input[name=option]:checked")?.closest(".option");
    const open = [...(box?.querySelectorAll("input[type=checkbox], select") ?? [])];
    const asked = open.find((one) => (one.type === "checkbox" ? !one.checked : !one.value));
    if (!asked && event.target.tagName !== "SELECT") return; // the browser sends the form by itself
    event.preventDefault();
    if (asked) asked.focus();
    else form.requestSubmit();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !off() && !event.ctrlKey && !event.metaKey && !event.altKey) confirm(event);
    if (off() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select")) return;
    const option = /^[1-9]$/.test(event.key) && document.querySelector(`input[data-option="${event.key}"]:enabled`);
    if (option) {
      option.click();
      option.focus();
    } else if (Object.hasOwn(actions, event.key)) {
      actions[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });
  const show = () => {
    const button = document.querySelector("[data-switch=keys]");
    if (!button) return;
    button.hidden = false;
    button.textContent = off() ? "Switch the keys on" : "Switch the keys off";
    document.querySelector("[data-state=keys]").textContent = off() ? "The keys are off in this browser." : "The keys are on.";
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-switch=keys]")) return;
    localStorage.setItem("endcap-keys", off() ? "on" : "off");
    show();
  });
  // What somebody has unfolded in the list stays so when the list is rendered anew.
  const unfolded = new Set();
  document.addEventListener("click", (event) => {
    const fold = event.target.closest("#list details[id] > summary")?.parentElement;
    if (fold) unfolded[fold.open ? "delete" : "add"](fold.id);
  });
  document.addEventListener("htmx:after:swap", () => {
    mark();
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  });
  document.addEventListener("DOMContentLoaded", show);
  document.documentElement.dataset.keys = "ready";
})();
