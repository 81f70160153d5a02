// The keyboard, ticking many rows, and asking before what cannot be undone. Every page works without this file.
"use strict";

(() => {
  document.documentElement.classList.add("js");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const rows = () => all("[data-rows] tbody tr");
  const boxes = () => all("[data-rows] tbody .tick input");
  let at = -1;
  let lastBox = null;
  let chord = "";

  function recount() {
    const ticked = boxes().filter((box) => box.checked).length;
    for (const bar of all("[data-bulkbar]")) {
      bar.classList.toggle("on", ticked > 0);
      const words = bar.querySelector("[data-ticked]");
      if (words) words.textContent = `${ticked} ticked`;
    }
    for (const box of all("[data-all]")) {
      box.checked = ticked > 0 && ticked === boxes().length;
      box.indeterminate = ticked > 0 && !box.checked;
    }
  }

  function go(step) {
    const list = rows();
    if (!list.length) return;
    at = Math.min(Math.max(at + step, 0), list.length - 1);
    list.forEach((row, i) => row.classList.toggle("at", i === at));
    list[at].focus({ preventScroll: true });
    list[at].scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-rows] tbody .tick input");
    if (box) {
      if (event.shiftKey && lastBox) {
        const list = boxes();
        const [from, to] = [list.indexOf(lastBox), list.indexOf(box)].sort((a, b) => a - b);
        if (from >= 0) list.slice(from, to + 1).forEach((each) => { each.checked = box.checked; });
      }
      lastBox = box;
      recount();
      return;
    }
    if (event.target.closest("[data-keys]")) {
      document.getElementById("keys").showModal();
      return;
    }
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, select, label, summary, .tick") && !String(getSelection())) {
      if (event.metaKey || event.ctrlKey) window.open(row.dataset.href);
      else location.href = row.dataset.href;
    }
    for (const open of all("details.pop[open]")) if (!open.contains(event.target)) open.open = false;
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      boxes().forEach((box) => { box.checked = event.target.checked; });
      recount();
    }
  });

  document.addEventListener("submit", (event) => {
    const words = event.target.dataset.confirm;
    if (words && !window.confirm(words)) { event.preventDefault(); return; }
    if (event.target.dataset.sent && event.target.target !== "_blank") { event.preventDefault(); return; }
    // A second press of a slow button must not send the form twice.
    if (event.target.method === "post" && event.submitter?.formTarget !== "_blank" && !event.target.hasAttribute("hx-post")) {
      event.target.dataset.sent = "yes";
      setTimeout(() => { delete event.target.dataset.sent; }, 4000);
    }
  });

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape") {
      if (field) field.blur();
      else { boxes().forEach((box) => { box.checked = false; }); recount(); }
      return;
    }
    if (field || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
    const key = event.key;
    if (chord === "g") {
      chord = "";
      const to = { o: "/orders", s: "/shipments", w: "/wallet" }[key];
      if (to) { location.href = to; return; }
    }
    if (key === "g") { chord = "g"; setTimeout(() => { chord = ""; }, 1000); return; }
    if (key === "?") { document.getElementById("keys")?.showModal(); event.preventDefault(); return; }
    if (key === "/") {
      const search = document.getElementById("search");
      if (search) { search.focus(); search.select(); event.preventDefault(); }
      return;
    }
    if (key === "j" || key === "k") { go(key === "j" ? 1 : -1); return; }
    const row = rows()[at];
    if (!row) return;
    if (key === "x") {
      const box = row.querySelector(".tick input");
      if (box) { box.checked = !box.checked; lastBox = box; recount(); }
    } else if (key === "Enter" && !event.target.closest("a, button, summary, input") && row.dataset.href) {
      location.href = row.dataset.href;
    }
  });

  // A filter's empty fields say nothing; the address is to be read and shared.
  document.addEventListener("htmx:configRequest", (event) => {
    const { verb, formData } = event.detail;
    if (verb !== "get" || !formData) return;
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
  });

  // htmx swaps a list in: its rows are new, and Back may restore ticked boxes.
  document.addEventListener("htmx:afterSwap", () => {
    at = -1;
    lastBox = null;
    recount();
    document.querySelector("[aria-invalid]")?.focus();
  });
  window.addEventListener("pageshow", recount);
  document.addEventListener("DOMContentLoaded", () => {
    const wrong = document.querySelector("[aria-invalid]");
    if (wrong) wrong.focus();
    recount();
  });
})();
