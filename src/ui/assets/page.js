// Keeps the page live: the server sends the parts of the page that have changed, already as HTML,
// and each is fitted into the page so that focus, selection and moving bars survive.
"use strict";

(() => {
  const lost = document.getElementById("lost");
  const live = document.body.dataset.live;
  const stamp = document.body.dataset.stamp;
  const RETRY_MS = 4000;
  document.documentElement.classList.add("script");

  function fit(from, to) {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
      from.replaceWith(to);
      return;
    }
    // What was answered to a person stays until the next answer.
    if (from.nodeName === "OUTPUT") return;
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    // What stands for another thing is another piece: nothing that was typed goes along.
    if (from.dataset.key !== to.dataset.key) {
      from.replaceWith(to);
      return;
    }
    for (const { name } of [...from.attributes]) {
      // What a person has unfolded stays so.
      const theirs = name === "open" && from.nodeName === "DETAILS";
      if (!theirs && !to.hasAttribute(name)) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    const have = [...from.childNodes];
    const want = [...to.childNodes];
    want.forEach((node, at) => (have[at] ? fit(have[at], node) : from.append(node)));
    have.slice(want.length).forEach((node) => node.remove());
  }

  function update(parts) {
    const places = new Map();
    for (const place of document.querySelectorAll("[data-part]")) {
      places.set(place.dataset.part, place);
    }
    for (const [name, html] of Object.entries(parts)) {
      const place = places.get(name);
      if (!place) continue;
      const template = document.createElement("template");
      template.innerHTML = html;
      if (template.content.firstElementChild) fit(place, template.content.firstElementChild);
    }
  }

  function say(words) {
    if (lost.textContent !== words) lost.textContent = words;
    lost.hidden = !words;
    document.body.classList.toggle("stale", Boolean(words));
  }

  function connect() {
    const source = new EventSource(live);
    source.addEventListener("parts", (event) => {
      const message = JSON.parse(event.data);
      if (message.stamp !== stamp) {
        location.reload();
        return;
      }
      say("");
      update(message.parts);
    });
    source.addEventListener("silent", () => {
      say("The controller is silent: these figures are not those of the present.");
    });
    source.onerror = () => {
      const time = document.querySelector(".clock").textContent;
      say(`Connection lost. These figures are of ${time}. Trying again.`);
      if (source.readyState === EventSource.CLOSED) {
        source.close();
        setTimeout(again, RETRY_MS);
      }
    };
  }
  async function again() {
    const answer = await fetch("/api/v1/openapi.json", { method: "HEAD" }).catch(() => null);
    if (answer && answer.status === 401) ended();
    else if (answer && answer.status === 403) location.reload();
    else connect();
  }
  if (live) connect();

  // The way in, which leads back to here.
  function login() {
    const here = location.pathname + location.search + location.hash;
    return `/login?ended=1&next=${encodeURIComponent(here)}`;
  }

  // Whoever is no longer logged in is shown the way in; what was typed here is not thrown away.
  function ended() {
    const fields = [...document.querySelectorAll("input")];
    if (!fields.some((field) => field.value !== field.defaultValue)) {
      location.assign(login());
      return;
    }
    say("Your session has ended. ");
    const link = document.createElement("a");
    [link.href, link.textContent] = [login(), "Log in, and come back here"];
    lost.append(link);
  }

  // Buttons and forms that order something name the address in data-post; the fields of a form go
  // into the body. The answer stands beside, or where the page has a place for it.
  function bodyOf(place, wanted) {
    const fields = [...place.querySelectorAll("input[name], select[name]")];
    if (!place.reset) return wanted;
    const values = fields.filter((field) => field.name !== "again").map((field) => {
      return [field.name, field.type === "password" ? field.value : field.value.trim()];
    });
    return JSON.stringify({ ...JSON.parse(wanted), ...Object.fromEntries(values) });
  }

  async function order(place, { post, body, done }, button, answer) {
    const again = place.querySelector("[name=again]");
    if (again && again.value !== place.querySelector("[name=password]").value) {
      answer.textContent = "Not sent: the two passwords are not the same.";
      return;
    }
    button.disabled = true;
    answer.textContent = "…";
    try {
      const wanted = bodyOf(place, body);
      const headers = wanted ? { "content-type": "application/json" } : {};
      const response = await fetch(post, { method: "POST", headers, body: wanted });
      if (response.status === 401) {
        answer.textContent = "Not done: your session has ended. ";
        const link = document.createElement("a");
        [link.href, link.textContent] = [login(), "Log in, and come back here"];
        answer.append(link);
      } else {
        const told = await response.json();
        if (response.ok && place.reset) place.reset();
        const words = `Not done: ${told.error}. Expected: ${told.expected}.`;
        answer.textContent = response.ok ? done || told.text || told.words : words;
      }
    } catch {
      answer.textContent = "Not done: Ampgate does not answer.";
    }
    button.disabled = false;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-post]");
    if (!button) return;
    const place = button.parentElement;
    order(place, button.dataset, button, place.querySelector("output"));
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-post]");
    if (!form) return;
    event.preventDefault();
    const answer = form.querySelector("output") || document.getElementById("answer");
    order(form, form.dataset, form.querySelector("button"), answer);
  });
})();
