// The page: photos come in by drop, paste, picker or camera; each goes to /v1/translate; what comes back is compared.

import { useCamera } from "./camera.js";
import { dropped, PICTURE } from "./folders.js";
import { canWrite, copy, saveAll, saveOne } from "./saving.js";
import { ask, model, NoKey, reason } from "./server.js";

const AT_ONCE = 2; // requests under way
const PATIENCE = 20; // times that a busy server is asked again

const $ = (id) => document.getElementById(id);
const photos = []; // {name, file, local, state: "waiting" | "working" | "done" | "failed", options, result: {pictures, urls, ratio},
//                     error, stop, unseeable}
let shown = null;
let attention = false;
let complaint = ""; // about what isn't a photo's own failure
let packing = false; // all are to be downloaded, and so brought up to the options first

// Translating -------------------------------------------------------------------------------------------------------

function add(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/") || !file.type || PICTURE.test(file.name));
  if (!images.length) return complain(files.length ? "That is not a picture." : "There is no picture in that folder.");
  const added = images.map((file) => ({ name: file.name || "photo.png", file, local: URL.createObjectURL(file), state: "waiting" }));
  photos.push(...added);
  return show(added[0]);
}

function show(photo) {
  shown = photo;
  complain("");
  work();
}

function chosen() { // of the options, as the server is asked
  const options = new FormData($("options")); // without what is disabled
  const asked = new URLSearchParams({ paste_back: $("paste-back").checked });
  if (!$("directions").hidden) asked.set("direction", options.get("direction"));
  if (!$("parts").hidden) asked.set("crop", options.get("crop"));
  if (options.has("fit")) asked.set("fit", options.get("fit"));
  if (!$("sizes").hidden) asked.set("size", $("size").value);
  if (!$("styles").hidden && styled) asked.set("style", styled);
  return asked.toString();
}

function isDue(photo) { // a photo that isn't looked at keeps its translation by earlier options until it is
  if (photo.state === "waiting") return true;
  const finished = photo.state === "done" || photo.state === "failed";
  return finished && (photo === shown || (packing && photo.result)) && photo.options !== chosen();
}

function work() {
  const working = photos.filter((photo) => photo.state === "working").length;
  const due = photos.filter(isDue).sort((a, b) => (b === shown) - (a === shown));
  for (const photo of due.slice(0, Math.max(0, AT_ONCE - working))) translate(photo);
  if (packing && !working && !due.length) pack();
  draw();
}

function again() { // the options have changed
  if (shown?.state === "working") {
    shown.stop.abort();
    shown.state = "waiting";
  }
  work();
}

async function translate(photo) {
  const stop = new AbortController();
  Object.assign(photo, { state: "working", stop, error: "" });
  try {
    await model().then(describe); // which sets the options
    if (stop.signal.aborted) return;
    photo.options = chosen();
    const pictures = await send(photo.file, photo.options, stop.signal);
    const urls = Object.fromEntries(Object.entries(pictures).map(([part, blob]) => [part, URL.createObjectURL(blob)]));
    const images = await Promise.all(Object.values(urls).map(loaded)); // so that nothing flickers when they are shown
    const result = { pictures, urls, ratio: images[0].naturalWidth / images[0].naturalHeight };
    if (stop.signal.aborted) return forget(result);
    forget(photo.result);
    Object.assign(photo, { state: "done", result });
  } catch (error) {
    if (stop.signal.aborted) return;
    const hopeless = error instanceof NoKey ? photos.filter((one) => one.state === "waiting") : []; // asked once for all
    for (const one of [photo, ...hopeless]) fail(one, error.message);
  }
  work();
}

function fail(photo, message) {
  forget(photo.result);
  Object.assign(photo, { state: "failed", error: message, result: null, options: chosen() });
}

async function send(file, options, signal) {
  const request = { method: "POST", body: file, signal, headers: { Accept: "multipart/form-data", "Content-Type": "application/octet-stream" } };
  for (let tries = 1; ; tries++) {
    const response = await ask(`v1/translate?${options}`, request);
    if (response.ok) return Object.fromEntries(await response.formData());
    if (response.status !== 503 || tries === PATIENCE) throw new Error(await reason(response));
    await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("Retry-After")) || 1)));
    signal.throwIfAborted();
  }
}

async function loaded(url) {
  const image = Object.assign(new Image(), { src: url });
  await image.decode();
  return image;
}

function forget(result) {
  for (const url of Object.values(result?.urls ?? {})) URL.revokeObjectURL(url);
}

function retry() { // all that failed for the same reason
  const { error } = shown;
  for (const photo of photos.filter((photo) => photo.state === "failed" && photo.error === error)) photo.state = "waiting";
  work();
}

function remove(some) {
  const at = photos.indexOf(shown);
  for (const photo of some) {
    photo.stop?.abort();
    forget(photo.result);
    URL.revokeObjectURL(photo.local);
    photos.splice(photos.indexOf(photo), 1);
  }
  packing &&= photos.length > 0;
  show(photos[Math.min(at, photos.length - 1)] ?? null);
  if (!shown) $("choose").focus(); // the button that had the focus is gone
}

// Showing -----------------------------------------------------------------------------------------------------------

function draw() {
  const count = (state) => photos.filter((photo) => photo.state === state).length;
  const left = count("waiting") + count("working");
  const failed = count("failed");
  say([
    left ? `Translating${photos.length > 1 ? ` ${photos.length - left + 1} of ${photos.length}` : ""}…` : count("done") ? "Done" : "",
    failed && photos.length > 1 ? `${failed} failed` : "",
  ].filter(Boolean).join(", "));
  drawTrouble();
  drawGallery();
  drawStage();
  drawActions();
}

function drawGallery() {
  const gallery = $("gallery");
  gallery.hidden = photos.length < 2;
  while (gallery.children.length > photos.length) gallery.lastChild.remove();
  photos.forEach((photo, index) => {
    const item = gallery.children[index] ?? gallery.appendChild(document.createElement("li"));
    const button = item.firstChild ?? item.appendChild(document.createElement("button"));
    const image = button.firstChild ?? button.appendChild(Object.assign(new Image(), { alt: "" }));
    button.type = "button";
    button.className = { done: "", failed: "failed" }[photo.state] ?? "waiting";
    button.classList.toggle("unseeable", Boolean(photo.unseeable) && !photo.result);
    image.onerror = () => unseeable(photo);
    button.title = photo.name;
    button.setAttribute("aria-label", `${photo.name}: ${photo.state}`);
    button.setAttribute("aria-current", String(photo === shown));
    button.onclick = () => show(photo);
    setSource(image, photo.result?.urls.translation ?? photo.local);
  });
}

function drawStage() {
  $("drop").hidden = Boolean(shown);
  $("stage").hidden = !shown;
  $("caption").textContent = shown?.name ?? "";
  if (!shown) return;
  const { result, name, local } = shown;
  const looked = attention && result?.urls.heatmap;
  $("stage").className = result ? "" : `${shown.state} ${shown.unseeable ? "unseeable" : ""}`;
  $("stage").setAttribute("aria-busy", String(shown.state === "waiting" || shown.state === "working"));
  setSource($("before"), looked ? result.urls.heatmap : result ? result.urls.input : local);
  $("before").alt = looked ? `Where the network looked in ${name}` : result ? `${name} as the network saw it` : name;
  $("before-tag").textContent = looked ? "Where it looked" : "Photo";
  if (result) {
    setSource($("after"), result.urls.translation);
    $("after").alt = `Translation of ${name}`;
  }
  for (const part of [$("after"), $("after-tag"), $("handle"), $("slider")]) part.hidden = !result;
  frame();
  slide();
}

function unseeable(photo) { // the server can read more kinds of pictures than a browser
  if (photo.result || photo.unseeable) return;
  photo.unseeable = true;
  draw();
}

function frame() { // the shape of what is shown; before there is a translation, that which it will have
  const before = $("before");
  const fit = $("paste-back").checked ? "pad" : new FormData($("options")).get("fit") ?? "crop";
  const whole = before.naturalWidth ? before.naturalWidth / before.naturalHeight : 1;
  const ratio = shown?.result?.ratio ?? (fit === "pad" ? whole : served?.ratio ?? whole);
  $("compare").style.setProperty("--ratio", ratio);
  $("compare").className = shown?.result ? "" : fit;
}

function drawActions() {
  const finished = photos.filter((photo) => photo.result);
  $("actions").hidden = !shown;
  for (const button of [$("download"), $("copy"), $("full")]) button.disabled = !shown?.result;
  $("attention").hidden = !served?.heatmap;
  $("attention").disabled = !shown?.result;
  $("attention").setAttribute("aria-pressed", String(attention));
  $("download-all").hidden = photos.length < 2;
  $("download-all").disabled = packing || !finished.length || finished.length < photos.filter((photo) => photo.state !== "failed").length;
  $("clear").hidden = photos.length < 2;
}

function setSource(image, url) {
  if (image.src !== url) image.src = url;
}

function slide() {
  const at = Number($("slider").value);
  $("compare").style.setProperty("--at", shown?.result ? `${at}%` : "100%");
  $("slider").setAttribute("aria-valuetext", `${at} percent photo, ${100 - at} percent translation`);
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

function complain(text) {
  complaint = text;
  drawTrouble();
}

function drawTrouble() {
  const failed = shown?.state === "failed";
  const text = complaint || (failed ? `${shown.name}: ${shown.error}` : "");
  $("retry").hidden = !failed || Boolean(complaint);
  $("trouble").hidden = !text;
  if ($("error").textContent !== text) $("error").textContent = text;
}

// Keeping -----------------------------------------------------------------------------------------------------------

function pack() {
  packing = false;
  saveAll(photos.filter((photo) => photo.result), $("format").value).catch((error) => complain(error.message));
}

async function copyShown() {
  try {
    await copy(shown);
    say("Copied");
  } catch (error) {
    complain(`It can't be copied: ${error.message}`);
  }
}

// What people do ----------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll(".choose")) button.onclick = () => $("files").click();
for (const input of [$("files"), $("snap")]) {
  input.onchange = () => {
    if (input.files.length) add(input.files);
    input.value = "";
  };
}
for (const button of document.querySelectorAll(".sample")) {
  button.onclick = async () => {
    const { src } = button.firstElementChild;
    const name = src.slice(src.lastIndexOf("/") + 1);
    try {
      add([new File([await (await ask(src)).blob()], name, { type: "image/jpeg" })]);
    } catch (error) {
      complain(error.message);
    }
  };
}
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
document.ondragleave = (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
};
document.ondrop = async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add(await dropped(event.dataTransfer));
};
document.onpaste = (event) => {
  if (event.clipboardData.files.length) add(event.clipboardData.files);
};
useCamera(add, complain);
$("before").onload = frame;
$("before").onerror = () => shown && unseeable(shown);
$("options").onchange = () => {
  drawOptions();
  again();
};
$("options").onsubmit = (event) => event.preventDefault();
$("slider").oninput = slide;
$("attention").onclick = () => {
  attention = !attention;
  draw();
};
$("retry").onclick = retry;
$("remove").onclick = () => remove([shown]);
$("clear").onclick = () => remove([...photos]);
$("download").onclick = () => saveOne(shown, $("format").value).catch((error) => complain(error.message));
$("download-all").onclick = () => {
  packing = true;
  work();
};
$("copy").hidden = !navigator.clipboard?.write; // browsers offer it to https and this machine only
$("copy").onclick = copyShown;
$("full").hidden = !document.fullscreenEnabled;
$("full").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen());
for (const option of [...$("format").options]) if (!canWrite(option.value)) option.remove();

let styled = ""; // as the server is asked: a seed or numbers; its own style while it is empty
function inStyle(style, name) {
  styled = style;
  $("style-name").textContent = name;
  again();
}
$("style").onchange = () => inStyle($("style").value, $("style").value);
$("style-picture").onclick = () => $("style-file").click();
$("style-file").onchange = async () => {
  const [file] = $("style-file").files;
  $("style-file").value = "";
  if (!file) return;
  try {
    const direction = $("directions").hidden ? "" : `?direction=${new FormData($("options")).get("direction")}`;
    const headers = { "Content-Type": "application/octet-stream" };
    const response = await ask(`v1/style${direction}`, { method: "POST", body: file, headers });
    if (!response.ok) throw new Error(await reason(response));
    const { style } = await response.json();
    complain("");
    inStyle(style.join(","), file.name);
  } catch (error) {
    complain(error.message);
  }
};

// What is served ----------------------------------------------------------------------------------------------------

let served = null; // {ratio, heatmap} of the engines, once they are known

function drawOptions() { // a face's square is as it is, for an engine that takes squares
  $("shapes").disabled = !$("parts").hidden && served?.ratio === 1 && new FormData($("options")).get("crop") === "face";
}

function describeSizes(engines, limits) { // the engine's own, and those above it that it serves and the server allows
  const [{ height, width }] = engines;
  if (engines.some((engine) => !engine.any_size || engine.height !== height || engine.width !== width)) return;
  for (const times of [1, 1.5, 2, 3, 4]) {
    const [tall, wide] = [height, width].map((side) => 4 * Math.round((side * times) / 4));
    if (times > 1 && Math.max(tall, wide) > limits.side) break;
    $("size").append(new Option(tall === wide ? tall : `${wide} × ${tall}`, `${tall}x${wide}`));
  }
  $("sizes").hidden = $("size").length < 2;
}

function describe({ engines, fit, crop, paste_back, faces, limits }) {
  if (served) return;
  const [first] = engines;
  describeSizes(engines, limits);
  $("parts").hidden = !faces || !["whole", "face"].includes(crop); // of another part, the server's setting holds
  if (!$("parts").hidden) document.querySelector(`[name=crop][value=${crop}]`).checked = true;
  $("paste-back").checked ||= paste_back;
  $("styles").hidden = !engines.some((engine) => engine.style_length);
  served = { ratio: first.width / first.height, heatmap: engines.some((engine) => engine.heatmap) };
  if (!new FormData($("options")).has("fit")) document.querySelector(`[name=fit][value=${fit}]`).checked = true;
  document.querySelector(`[name=direction][value=${first.direction}]`).checked = true;
  for (const { direction, turns } of engines) {
    if (!turns) continue;
    const label = document.querySelector(`[value=${direction}] + span`);
    label.textContent = `${capital(turns[0])} to ${turns[1]}`;
    label.className = "words";
  }
  $("directions").hidden = engines.length < 2;
  drawOptions();
  if (first.turns) document.title = $("title").textContent = `Turn ${first.turns[0]} into ${first.turns[1]}`;
  $("about").textContent = engines
    .map((engine) => `${engine.direction}: ${engine.kind} ${engine.precision}, ${engine.height}×${engine.width}, ${engine.device}`)
    .join(" · ");
  draw();
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

model().then(describe).catch((error) => shown || complain(error.message)); // a photo that is there fails and says it
