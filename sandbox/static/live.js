"use strict";
// Every second: fetch this page again and put in place what has changed of its live parts.
// Rests while the page is hidden, and leaves alone a part in which somebody has the focus or the pointer down.
const EVERY_MS = 1000;
let pointerDown = false;
addEventListener("pointerdown", () => { pointerDown = true; });
addEventListener("pointerup", () => { pointerDown = false; });
addEventListener("pointercancel", () => { pointerDown = false; });

function ids(part) {
  return new Set([...part.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
}

function replace(part, fresh) {
  if (part.innerHTML === fresh.innerHTML || part.contains(document.activeElement)) return;
  const known = ids(part);
  const scrolled = part.querySelector(".scroll")?.scrollLeft ?? 0;
  part.replaceChildren(...document.importNode(fresh, true).childNodes);
  const scroll = part.querySelector(".scroll");
  if (scroll) scroll.scrollLeft = scrolled;
  for (const row of part.querySelectorAll("[data-id]")) {
    if (!known.has(row.dataset.id)) row.classList.add("new");
  }
}

function tell(problem) {
  const pulse = document.getElementById("pulse");
  pulse.hidden = !problem;
  pulse.textContent = problem;
}

async function look() {
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!pointerDown && getSelection().isCollapsed) {
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) replace(part, fresh);
      }
    }
    tell("");
  } catch {
    tell("The sandbox does not answer. Trying again …");
  }
}

async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, EVERY_MS);
}

setTimeout(watch, EVERY_MS);
