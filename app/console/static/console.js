// What the console does beyond plain pages: looks again every 5 s, shortcuts, previews, copying. All works without it.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  document.documentElement.classList.add("js");

  // Looking again: not while hidden, selecting, typing, or with rows chosen; what was typed is never replaced.
  const typing = () => {
    const active = document.activeElement;
    return Boolean(active && active.matches("input:not([type=checkbox]):not([type=radio]), textarea, select"));
  };
  const selecting = () => !(window.getSelection() || { isCollapsed: true }).isCollapsed;
  const chosen = () => $("#live input:checked") !== null;
  const reading = () => $("#live details.act[open]") !== null || $("dialog[open]") !== null;
  const calm = () => !document.hidden && !typing() && !selecting() && !chosen() && !reading();
  let asking = false;
  const lookAgain = () => {
    if (!$("#live") || asking || !calm() || !window.htmx) return;
    asking = true;
    const open = all("#live details[open]").map((one) => all("#live details").indexOf(one));
    const at = rows().indexOf(current());
    window.htmx.ajax("GET", location.href, { target: "#live", select: "#live", swap: "morph:outerHTML" }).finally(() => {
      asking = false;
      const details = all("#live details");
      open.forEach((place) => { if (details[place]) details[place].open = true; });
      if (at >= 0) mark(rows()[at], false);
      settle();
    });
  };
  document.addEventListener("htmx:configRequest", (event) => { if (event.detail.verb === "get") event.detail.headers["HX-Poll"] = "1"; });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // A problem is shown in place too; a session that has ended needs the whole page.
    if (event.detail.xhr.status === 401) { location.reload(); event.detail.shouldSwap = false; }
    else if (event.detail.target && event.detail.target.id === "preview") event.detail.shouldSwap = true;
  });
  setInterval(lookAgain, EVERY_MS);
  document.addEventListener("visibilitychange", lookAgain);

  // After each look: countdowns, copy buttons, and whether the form still speaks of what is there.
  const settle = () => {
    all(".copy[hidden]").forEach((button) => { button.hidden = !navigator.clipboard; });
    const live = $("#live[data-version]"), version = $("#resolve input[name=version]"), changed = $("#changed");
    if (live && version && changed) changed.hidden = live.dataset.version === version.value;
  };
  setInterval(() => {
    const left = $("[data-countdown]");
    if (!left) return;
    if (!left.dataset.from) { left.dataset.from = String(performance.now()); }
    const seconds = Number(left.dataset.countdown) - (performance.now() - Number(left.dataset.from)) / 1000;
    if (seconds > 0) left.textContent = seconds < 10 ? seconds.toFixed(1) + " s" : Math.round(seconds) + " s";
    else if (!left.dataset.over) { left.dataset.over = "1"; left.textContent = "0 s"; if (!typing()) location.reload(); }
  }, 250);

  // Choosing shows what belongs to the choice, and what it would do.
  const form = $("#resolve");
  if (form) {
    const choose = () => {
      const picked = $("input[name=verdict]:checked", form);
      form.dataset.verdict = picked ? picked.value : "";
      return picked;
    };
    let waiting = 0;
    const preview = () => { const button = $("#preview-button"); if (choose() && window.htmx && button) window.htmx.trigger(button, "preview"); };
    form.addEventListener("input", (event) => { clearTimeout(waiting); waiting = setTimeout(preview, event.target.type === "radio" ? 0 : 400); });
    document.addEventListener("htmx:afterSettle", settle);
    choose();
    document.addEventListener("htmx:load", () => settle(), { once: true });
    if ($("input[name=verdict]:checked", form) && !$("#preview table")) window.addEventListener("load", preview);
  }

  // Keys: / finds, j and k walk rows, Enter opens, g goes, ? helps.
  const rows = () => all("[data-row]");
  const current = () => $("[data-row].at");
  const mark = (row, scroll = true) => {
    rows().forEach((one) => one.classList.remove("at"));
    if (!row) return;
    row.classList.add("at");
    if (scroll) { row.scrollIntoView({ block: "nearest" }); const link = $("a", row); if (link) link.focus({ preventScroll: true }); }
  };
  const walk = (step) => {
    const list = rows();
    const place = list.indexOf(current());
    mark(list[Math.min(Math.max(place < 0 ? (step > 0 ? 0 : list.length - 1) : place + step, 0), list.length - 1)]);
  };
  const help = $("#help"), helpButton = $("#help-button");
  const showHelp = () => { if (help && !help.open) help.showModal(); };
  if (helpButton) { helpButton.hidden = false; helpButton.addEventListener("click", showHelp); }
  const PLACES = { a: "attention", r: "runs", o: "", t: "tools", w: "workers" };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing()) {
      if (event.key === "Escape" && typing()) document.activeElement.blur();
      return;
    }
    if (performance.now() - going < 1200 && event.key in PLACES) {
      const home = $(".brand");
      if (home) location.href = home.href + PLACES[event.key];
    } else if (event.key === "/") { const find = $("#find"); if (find) { find.focus(); find.select(); } }
    else if (event.key === "j") walk(1);
    else if (event.key === "k") walk(-1);
    else if (event.key === "g") { going = performance.now(); return; }
    else if (event.key === "?") showHelp();
    else return;
    going = 0;
    event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  });
  const place = $(".side [aria-current]");
  if (place && place.closest(".side").scrollWidth > window.innerWidth) place.scrollIntoView({ block: "nearest", inline: "center" });
  settle();
})();
