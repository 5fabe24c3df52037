// Keeps the live page up to date by server-sent events, and runs its cleanup buttons.
"use strict";

const LOST_AFTER_MS = 3500; // an event comes each second
const RETRY_MS = 5000; // after a refusal, which ends an EventSource for good
const MAPS = ["signatures", "transactions", "observations"];

const byId = (id) => document.getElementById(id);
let events = null;
let heardAt = performance.now();
let heardTime = new Date();

// Changes only what differs, so that a selection, a focus and a scrolled table stay.
function renew(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((child, at) => (at < before.length ? renew(before[at], child) : old.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
}

function show(message) {
  heardAt = performance.now();
  heardTime = new Date();
  const fresh = new DOMParser().parseFromString(message.data, "text/html").getElementById("live");
  if (fresh === null) return;
  renew(byId("live"), fresh);
  document.title = byId("live").dataset.title;
}

function listen() {
  if (events !== null && events.readyState !== EventSource.CLOSED) return;
  const source = new EventSource("page/events");
  events = source;
  source.onmessage = show;
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED && events === source) setTimeout(listenIfSeen, RETRY_MS);
  };
}

function listenIfSeen() {
  if (document.visibilityState === "visible") listen();
}

function followVisibility() {
  if (document.visibilityState === "visible") {
    heardAt = performance.now();
    listen();
  } else if (events !== null) {
    events.close();
  }
}

function tellWhenLost() {
  const isLost = document.visibilityState === "visible" && performance.now() - heardAt > LOST_AFTER_MS;
  const lost = byId("lost");
  document.body.classList.toggle("stale", isLost);
  if (lost.hidden !== isLost) return;
  lost.hidden = !isLost;
  const since = heardTime.toISOString().slice(11, 19);
  lost.textContent = isLost ? `The gate has not answered since ${since} UTC. These are its last figures.` : "";
  if (isLost) document.title = "no answer · Tidegate";
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function row(cells, kind) {
  const made = document.createElement("tr");
  cells.forEach((cell, at) => made.append(element(at === 0 ? "th" : kind, cell, at === 0 ? "" : "n")));
  return made;
}

function tableOf(report) {
  const table = document.createElement("table");
  table.createTHead().append(row(["map", "before", report.dry_run ? "would go" : "removed", "after"], "th"));
  const body = table.createTBody();
  const figure = (amount) => amount.toLocaleString("en-US");
  for (const name of MAPS.filter((each) => each in report.maps)) {
    const { before, removed, after } = report.maps[name];
    body.append(row([name, figure(before), figure(removed), figure(after)], "td"));
  }
  return table;
}

async function askFor(path, isDryRun) {
  const token = byId("token").value.trim();
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(`${path}?dry_run=${isDryRun}`, { method: "POST", headers });
  const document_ = await answer.json();
  if (!answer.ok) throw new Error([document_.title, document_.detail].filter(Boolean).join(": "));
  return document_;
}

async function run(path, isDryRun) {
  const outcome = byId("outcome");
  const buttons = byId("cleanup").querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const report = await askFor(path, isDryRun);
    const said = isDryRun
      ? `A dry run of the ${report.mode} cleanup: nothing has been removed.`
      : `The ${report.mode} cleanup took ${(report.duration_seconds * 1000).toFixed(1)} ms.`;
    outcome.replaceChildren(element("p", said), tableOf(report));
    if (isDryRun) outcome.append(choice(path));
  } catch (error) {
    outcome.replaceChildren(element("p", `Not done. ${error.message}`, "bad"));
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
  (outcome.querySelector("button") ?? buttonOf(path)).focus();
}

function buttonOf(path) {
  return byId("cleanup").querySelector(`[data-path="${path}"]`);
}

function choice(path) {
  const controls = element("div", "", "controls");
  const sure = element("button", "Remove now", "sure");
  const leave = element("button", "Cancel");
  sure.type = leave.type = "button";
  sure.addEventListener("click", () => run(path, false));
  leave.addEventListener("click", () => {
    byId("outcome").replaceChildren();
    buttonOf(path).focus();
  });
  controls.append(leave, sure); // the first has the focus, and removes nothing
  return controls;
}

for (const button of byId("cleanup").querySelectorAll("[data-path]")) {
  button.addEventListener("click", () => run(button.dataset.path, true));
}
byId("cleanup").hidden = false;
document.addEventListener("visibilitychange", followVisibility);
setInterval(tellWhenLost, 500);
listenIfSeen();
