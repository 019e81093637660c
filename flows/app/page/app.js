"use strict";
const $ = id => document.getElementById(id);
const OURS = { "X-Nada-App": "1" };
const COUNTS = [1, 4, 9, 16];
const WAIT_MS = 180;
const state = { looks: [], parts: [], seed: 0, psi: 0.7, count: 9, before: false, every: false, photo: null, at: 0 };
let library = null, drawing = null, timer = 0, enlarged = null;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

async function ask(address, options = {}) {
  const answer = await fetch(address, options).catch(error => {
    throw error.name === "AbortError" ? error : new Error("No answer: start nada app again where it ran, and load this page anew.");
  });
  if (answer.ok) return answer;
  let said = `${answer.status}`;
  try { said = (await answer.json()).error; } catch { /* not ours */ }
  throw new Error(said);
}

const look = name => state.looks.find(one => one.name === name);
const named = parts => parts.map(([name, share]) => share === 1 ? name : `${name} ${Math.round(share * 100)}%`).join(" + ") || "source";

function query(parts, extra = {}) {
  const asked = new URLSearchParams();
  for (const [name, share] of parts) asked.append("look", share === 1 ? name : `${name}:${share}`);
  const latents = state.photo ? { photo: state.photo } : { seed: state.seed };
  const keys = [library.origin, ...parts.map(([name]) => (look(name) || {}).key || "")].map(key => key.slice(0, 8));
  for (const [name, value] of Object.entries({ ...latents, psi: state.psi, ...extra })) asked.set(name, value);
  if (extra.at !== undefined) asked.set("of", keys.join("."));  // another key, another picture: what a browser kept is old
  return asked;
}

const picture = (parts, at, extra = {}) => `/api/picture?${query(parts, { at, ...extra })}`;

// What is shown is asked for in order, one by one, and given up once something else is wanted.
async function draw() {
  if (drawing) drawing.abort();
  const mine = drawing = new AbortController();
  const parts = state.parts;
  say("");
  const num = state.photo ? 1 : state.count;
  const cells = state.every
    ? [[[], 0], ...state.looks.map(one => [[[one.name, 1]], 0])]
    : Array.from({ length: num }, (_, at) => [parts, at]);
  lay(cells);
  keepsakes();
  try {
    for (const [index, [of, at]] of cells.entries()) {
      const images = $("stage").children[index].querySelectorAll("img");
      for (const image of images) {
        await fill(image, picture(image.dataset.of === "source" ? [] : of, at), mine.signal)
          .catch(error => { if (!state.every || mine.signal.aborted) throw error; image.parentElement.parentElement.title = error.message; });
      }
      $("stage").children[index].classList.remove("old");
    }
    $("drawn").textContent = state.every ? `${cells.length} looks are drawn.` : `Drawn: ${named(parts)}.`;
    for (const image of document.querySelectorAll("#looks img:not([src])")) {
      if (image.closest("li").hidden) continue;
      await fill(image, `/api/picture?look=${encodeURIComponent(image.dataset.name)}&seed=0&psi=0.7&at=0&of=${image.dataset.key}`, mine.signal).catch(error => { if (mine.signal.aborted) throw error; });
    }
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
  }
}

async function fill(image, address, signal) {
  const blob = await (await ask(address, { signal })).blob();
  const old = image.src;
  image.src = URL.createObjectURL(blob);
  await image.decode().catch(() => {});
  image.classList.add("there");
  if (old.startsWith("blob:")) URL.revokeObjectURL(old);
}

function lay(cells) {
  const stage = $("stage"), both = state.before && !state.every;
  const columns = state.every ? 5 : Math.ceil(Math.sqrt(cells.length)) || 1;
  const across = both ? Math.max(1, Math.ceil(columns / 2)) : columns;
  stage.style.setProperty("--columns", across);
  stage.style.setProperty("--wide", state.every ? 9 : both ? Math.max(1, 2 * across / Math.ceil(cells.length / across)) : 1);
  stage.classList.toggle("both", both);
  stage.classList.toggle("single", cells.length === 1);
  const same = stage.children.length === cells.length && stage.dataset.kind === `${state.every}${both}`;
  if (same) {
    for (const [index, [of]] of cells.entries()) { stage.children[index].classList.add("old"); label(stage.children[index], of, index); }
    return;
  }
  stage.dataset.kind = `${state.every}${both}`;
  stage.replaceChildren(...cells.map(([of], index) => {
    const pictures = make("span", { className: "pictures" });
    if (both) pictures.append(blank("source"));
    pictures.append(blank("look"));
    const button = make("button", { type: "button" }, pictures);
    button.dataset.index = index;
    if (state.every) button.append(make("span", { className: "caption", textContent: named(of) }));
    label(button, of, index);
    return button;
  }));
}

function blank(of) {
  const image = make("img", { alt: "" });
  image.dataset.of = of;
  return image;
}

function label(button, of, index) {
  button.setAttribute("aria-label", state.every ? `${named(of)}: choose` : `Picture ${index + 1} of ${named(of)}: enlarge`);
}

function redraw() {
  clearTimeout(timer);
  timer = setTimeout(draw, WAIT_MS);
  remember();
}

function keepsakes() {
  const parts = state.parts;
  const count = state.photo ? {} : { count: state.count };
  $("keep-grid").href = `/api/grid?${query(parts, count)}`;
  const whole = state.every ? [] : parts.map(([name]) => [name, 1]);
  $("keep-strip").href = `/api/strip?${query(whole, state.photo ? {} : { count: Math.min(8, state.count) })}`;
  const files = $("format").value, can = files === ".onnx" || parts.every(([name]) => look(name)?.is_generator);
  $("keep-export").href = `/api/export?${query(parts, { format: files })}`;
  $("keep-export").toggleAttribute("hidden", !can);
}

// Downloads by hand, so that a refusal is a line on this page.
async function keep(event) {
  event.preventDefault();
  const link = event.currentTarget;
  if (link.classList.contains("busy")) return;
  link.classList.add("busy");
  try {
    const answer = await ask(link.href);
    const name = /filename="?([^"]+)"?/.exec(answer.headers.get("content-disposition") || "")?.[1] || "picture.png";
    const saved = make("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    saved.click();
    setTimeout(() => URL.revokeObjectURL(saved.href), 10000);
    say("");
  } catch (error) { say(error.message); }
  link.classList.remove("busy");
}

function shares() {
  const rows = state.parts.map((part, index) => {
    const [name, share] = part, id = `share-${index}`, fixed = !look(name)?.is_generator;
    const value = make("output", { textContent: `${Math.round(share * 100)}%` });
    const slider = make("input", { type: "range", id, min: -0.5, max: 1.5, step: 0.05, value: share, disabled: fixed });
    slider.addEventListener("input", () => { part[1] = Number(slider.value); value.textContent = `${Math.round(part[1] * 100)}%`; state.every = false; modes(); redraw(); });
    const away = make("button", { type: "button", textContent: "✕" });
    away.setAttribute("aria-label", `Without ${name}`);
    away.addEventListener("click", () => { state.parts.splice(index, 1); refresh(); });
    return make("div", { className: "share" }, make("label", { htmlFor: id, textContent: name }), value, away, slider);
  });
  $("shares").replaceChildren(...rows);
  if (!rows.length) $("shares").append(make("p", { className: "soft", textContent: "Nothing: the generator as it was. Choose a look." }));
  const fixed = state.parts.find(([name]) => !look(name)?.is_generator);
  if (fixed) $("shares").append(make("p", { className: "soft small", textContent: `${fixed[0]} left no generator of its own: it cannot be mixed.` }));
  $("mix-note").textContent = rows.length > 1 ? "a mix" : "";
}

function choose(name, adds) {
  const known = state.parts.findIndex(part => part[0] === name), one = look(name);
  const mixable = one?.is_generator && state.parts.every(([other]) => look(other)?.is_generator);
  if (known >= 0 && (adds || state.parts.length > 1)) state.parts.splice(known, 1);
  else if (adds && mixable && state.parts.length) {
    if (state.parts.length === 1 && state.parts[0][1] === 1) state.parts[0][1] = 0.5;
    state.parts.push([name, 0.5]);
  } else state.parts = [[name, 1]];
  state.every = false;
  refresh();
}

function refresh() { pressed(); shares(); modes(); redraw(); }

function pressed() {
  for (const button of document.querySelectorAll("#looks [data-name]:not(img)"))
    button.setAttribute("aria-pressed", String(state.parts.some(([name]) => name === button.dataset.name)));
}

function modes() {
  $("one").setAttribute("aria-pressed", String(!state.every));
  $("all").setAttribute("aria-pressed", String(state.every));
  for (const button of $("counts").children) button.setAttribute("aria-pressed", String(Number(button.textContent) === state.count));
  $("counts").hidden = Boolean(state.photo) || state.every;
  $("psi-value").textContent = state.psi;
  $("psi").value = state.psi;
  $("seed").value = state.seed;
  $("before").checked = state.before;
  $("people").hidden = Boolean(state.photo);
}

function list() {
  $("looks").replaceChildren(...state.looks.map(one => {
    const image = make("img", { alt: "", loading: "lazy" });
    image.dataset.name = one.name;
    image.dataset.key = one.key.slice(0, 8);
    const text = make("span", { className: "name", textContent: one.name }, make("small", { textContent: one.target }));
    const button = make("button", { type: "button", title: "Shift, Ctrl or a long press adds it to the mix" }, image, text);
    button.dataset.name = one.name;
    let press = 0, isLong = false;
    button.addEventListener("pointerdown", event => { isLong = false; if (event.pointerType === "touch") press = setTimeout(() => { isLong = true; choose(one.name, true); }, 500); });
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(end, () => clearTimeout(press));
    button.addEventListener("contextmenu", event => { if (isLong) event.preventDefault(); });
    button.addEventListener("click", event => { if (!isLong) choose(one.name, event.shiftKey || event.ctrlKey || event.metaKey); });
    const item = make("li", {}, button);
    if (one.is_generator) {
      const plus = make("button", { type: "button", className: "plus", textContent: "+", title: "Mix it in" });
      plus.dataset.adds = one.name;
      plus.setAttribute("aria-label", `Mix ${one.name} in`);
      plus.addEventListener("click", () => choose(one.name, true));
      item.append(plus);
    }
    return item;
  }));
}

// My photo
async function upload(file) {
  if (!file) return;
  $("photo").hidden = false;
  $("photo-picture").hidden = true;
  $("progress").hidden = false;
  $("progress").removeAttribute("value");
  $("photo-said").textContent = "Reading your photo";
  let id;
  try {
    id = (await (await ask(`/api/photo?steps=${$("steps").value}`, { method: "POST", headers: OURS, body: file })).json()).id;
    state.job = id;
    while (state.job === id) {
      const told = await (await ask(`/api/photo/${id}`)).json();
      if (state.job !== id) return;
      await follow(id, told);
      if (!["waiting", "working"].includes(told.state)) return;
      await new Promise(done => setTimeout(done, 700));
    }
  } catch (error) { failed(error.message); }
}

async function follow(id, told) {
  if (told.total && $("photo-picture").hidden) {
    $("photo-picture").src = `/api/photo/${id}/picture`;
    $("photo-picture").hidden = false;
  }
  if (told.state === "working" && told.total) {
    $("progress").value = told.done / told.total;
    $("photo-said").textContent = `Looking for you: ${told.done} of ${told.total}` + (told.seconds_left > 0 ? `, ${told.seconds_left} s left` : "");
  } else if (told.state === "failed") failed(told.said);
  else if (told.state === "stopped") failed("Given up for another photo, of another window: one is read at a time.");
  else if (told.state === "done") {
    $("progress").hidden = true;
    $("photo-said").textContent = ["Found", told.said].filter(Boolean).join(", ") + "." + (told.notes.length ? ` ${told.notes.join(" ")}` : "");
    Object.assign(state, { photo: id, psi: 1, every: true });
    refresh();
  }
}

function failed(text) {
  $("progress").hidden = true;
  $("photo-said").textContent = text;
  $("file").value = "";  // so that the same photo can be chosen again
}

function forget() {
  const job = state.job;
  if (job) fetch(`/api/photo/${job}/stop`, { method: "POST", headers: OURS });
  $("photo").hidden = true;
  $("file").value = "";
  const had = state.photo;
  Object.assign(state, { job: null, photo: null }, had ? { psi: 0.7 } : {});
  refresh();
}

// One picture, large
function enlarge(at) {
  const num = state.photo ? 1 : state.count;
  enlarged = (at + num) % num;
  $("large-name").textContent = `${named(state.parts)}${state.photo ? ", your photo" : `, seed ${state.seed}, picture ${enlarged + 1}`}`;
  $("large-before").src = picture([], enlarged);
  $("large-after").src = picture(state.parts, enlarged);
  $("keep-one").href = picture(state.parts, enlarged, { download: 1 });
  if (!document.querySelector("dialog").open) document.querySelector("dialog").showModal();
}

// The address keeps what is shown.
function remember() {
  const kept = new URLSearchParams(state.parts.map(([name, share]) => ["look", `${name}:${share}`]));
  for (const name of ["seed", "psi", "count"]) kept.set(name, state[name]);
  if (state.before) kept.set("before", 1);
  if (state.every) kept.set("every", 1);
  history.replaceState(null, "", `#${kept}`);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  const parts = kept.getAll("look").map(text => [text.slice(0, text.lastIndexOf(":")), Number(text.slice(text.lastIndexOf(":") + 1))]);
  state.parts = parts.filter(([name, share]) => look(name) && Number.isFinite(share));
  const number = (name, least, most) => { const value = Number(kept.get(name)); if (kept.has(name) && value >= least && value <= most) state[name] = value; };
  number("seed", 0, 2147483647);
  number("psi", 0, 1.2);
  if (COUNTS.includes(Number(kept.get("count")))) state.count = Number(kept.get("count"));
  state.before = kept.has("before");
  state.every = kept.has("every");
  if (!kept.has("seed") && !state.parts.length) {
    const best = state.looks.find(one => one.verdict === "good") || state.looks[0];
    if (best) state.parts = [[best.name, 1]];
  }
}

function wire() {
  $("one").addEventListener("click", () => { state.every = false; refresh(); });
  $("all").addEventListener("click", () => { state.every = true; refresh(); });
  $("another").addEventListener("click", () => { state.seed = Math.floor(Math.random() * 100000); modes(); redraw(); });
  $("seed").addEventListener("input", event => { const value = Number(event.target.value); if (Number.isInteger(value) && value >= 0 && value < 2 ** 31) { state.seed = value; redraw(); } });
  $("seed").addEventListener("change", modes);  // what is no seed goes back to the one that is drawn
  $("psi").addEventListener("input", event => { state.psi = Number(event.target.value); modes(); redraw(); });
  $("before").addEventListener("change", event => { state.before = event.target.checked; state.every = false; refresh(); });
  $("format").addEventListener("change", keepsakes);
  for (const id of ["keep-grid", "keep-strip", "keep-export", "keep-one"]) $(id).addEventListener("click", keep);
  $("file").addEventListener("change", event => upload(event.target.files[0]));
  $("forget").addEventListener("click", forget);
  $("find").addEventListener("input", event => {
    const words = event.target.value.toLowerCase();
    for (const [index, item] of [...$("looks").children].entries()) item.hidden = !`${state.looks[index].name} ${state.looks[index].target}`.toLowerCase().includes(words);
  });
  $("stage").addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const index = Number(button.dataset.index);
    if (!state.every) enlarge(index);
    else if (index === 0) { state.parts = []; state.every = false; refresh(); }
    else choose(state.looks[index - 1].name, false);
  });
  for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, event => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") upload(event.dataTransfer.files[0]);
  });
  $("close").addEventListener("click", () => document.querySelector("dialog").close());
  document.addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && document.querySelector("dialog").open) { event.preventDefault(); enlarge(enlarged + by); }
  });
}

async function start() {
  try { library = await (await ask("/api/library")).json(); }
  catch (error) { say(error.message); return; }
  state.looks = library.looks;
  if (library.resolution > 256) state.count = 4;
  document.title = $("title").textContent = library.title;
  $("licence").textContent = library.licence ? `Generator: ${library.licence}` : "";
  for (const format of library.formats) $("format").append(make("option", { value: format, textContent: format }));
  for (const [name, steps] of Object.entries(library.steps)) $("steps").append(make("option", { value: name, textContent: `${name}, ${steps} steps` }));
  $("counts").replaceChildren(...COUNTS.map(count => {
    const button = make("button", { type: "button", textContent: count });
    button.addEventListener("click", () => { state.count = count; refresh(); });
    return button;
  }));
  recall();
  list();
  wire();
  pressed();
  shares();
  modes();
  document.querySelector("#looks [aria-pressed=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
  scrollTo(0, 0);
  draw();
}
start();
