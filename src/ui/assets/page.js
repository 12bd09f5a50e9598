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
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.data !== to.data) from.data = to.data;
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
      say("The controller has published nothing for a while: these figures are not those of the present.");
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
  // Whoever is no longer logged in is shown the way in.
  async function again() {
    const answer = await fetch("/api/v1/openapi.json", { method: "HEAD" }).catch(() => null);
    if (answer && answer.status === 401) location.reload();
    else connect();
  }
  if (live) connect();

  // Buttons that order something name the address in data-post; the fields beside them go into the
  // body, and the answer stands next.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-post]");
    if (!button) return;
    const answer = button.parentElement.querySelector("output");
    button.disabled = true;
    try {
      const post = button.dataset.post;
      let wanted = button.dataset.body;
      const fields = [...button.parentElement.querySelectorAll("input[name]")];
      if (wanted && "fields" in button.dataset) {
        const values = fields.map((field) => [field.name, field.value.trim()]);
        wanted = JSON.stringify({ ...JSON.parse(wanted), ...Object.fromEntries(values) });
      }
      const headers = wanted ? { "content-type": "application/json" } : {};
      const response = await fetch(post, { method: "POST", headers, body: wanted });
      const body = await response.json();
      answer.textContent = response.ok ? button.dataset.done : `${body.error}: ${body.expected}`;
    } catch {
      answer.textContent = "Ampgate does not answer";
    }
    button.disabled = false;
  });
})();
