"use strict";
const cards = [...document.querySelectorAll(".cards > li")];
const dialog = document.querySelector("dialog");
const find = document.querySelector("input[type=search]");
let face = 0, open = null;

const one = (root, query) => root.querySelector(query);
const files = (image, kind) => JSON.parse(image.dataset[kind]);

function choose(next) {
  const count = document.querySelectorAll(".faces button").length;
  face = (next + count) % count;
  for (const button of document.querySelectorAll("[data-face]"))
    button.setAttribute("aria-pressed", String(Number(button.dataset.face) === face));
  for (const image of document.querySelectorAll(".pair img")) image.src = files(image, "files")[face];
  if (open) show(open);
}

function show(card) {
  open = card;
  const before = one(card, ".before"), after = one(card, ".after");
  one(dialog, "h2").textContent = card.dataset.name;
  one(dialog, ".prompt").replaceChildren(...one(card, ".prompt").cloneNode(true).childNodes);
  one(dialog, ".large-before").src = files(before, "large")[face];
  one(dialog, ".large-after").src = files(after, "large")[face];
  one(dialog, ".large-after").alt = after.alt;
  one(dialog, ".facts").replaceChildren(...[...one(card, "dl").children].map(fact => fact.cloneNode(true)));
  const sources = files(before, "files");
  one(dialog, ".strip").replaceChildren(...files(after, "files").map((file, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.face = index;
    button.setAttribute("aria-label", `Person ${index + 1}`);
    button.setAttribute("aria-pressed", String(index === face));
    for (const address of [sources[index], file]) {
      const image = document.createElement("img");
      image.src = address;
      image.alt = "";
      button.append(image);
    }
    return button;
  }));
  if (!dialog.open) dialog.showModal();
  history.replaceState(null, "", `#${encodeURIComponent(card.dataset.name)}`);
}

function step(by) {
  const shown = cards.filter(card => !card.hidden);
  if (shown.length) show(shown[(shown.indexOf(open) + by + shown.length) % shown.length]);
}

document.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (event.target === dialog) dialog.close();
  if (!button) return;
  if (button.dataset.face !== undefined) {
    const inDialog = dialog.contains(button);
    choose(Number(button.dataset.face));
    if (inDialog) one(dialog, `[data-face="${face}"]`).focus();
  }
  else if (button.classList.contains("card")) show(button.closest("li"));
  else if (button.classList.contains("close")) dialog.close();
  else if (button.classList.contains("previous")) step(-1);
  else if (button.classList.contains("next")) step(1);
});

document.addEventListener("keydown", event => {
  if (!dialog.open) return;
  const move = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => choose(face - 1), ArrowDown: () => choose(face + 1) }[event.key];
  if (move) { event.preventDefault(); move(); }
});

dialog.addEventListener("close", () => {
  const button = open && one(open, ".card");
  open = null;
  history.replaceState(null, "", location.pathname + location.search);
  if (button) button.focus();
});

find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/);
  for (const card of cards) card.hidden = !words.every(word => card.dataset.words.includes(word));
  one(document, ".nothing").hidden = cards.some(card => !card.hidden);
});

one(document, "#beside").addEventListener("change", event => document.body.classList.toggle("both", event.target.checked));

function asked() {
  let name = "";
  try { name = decodeURIComponent(location.hash.slice(1)); } catch { return; }
  const card = cards.find(card => card.dataset.name === name);
  if (card) show(card);
}
addEventListener("hashchange", asked);
asked();
