// The page: photos come in by drop, paste, picker or camera; each goes to /v1/translate; what comes back is compared.

import { zip } from "./zip.js";

const AT_ONCE = 2; // requests under way
const PATIENCE = 20; // times that a busy server is asked again

const $ = (id) => document.getElementById(id);
const photos = []; // {name, file, state: "waiting" | "working" | "done" | "failed", pictures, urls, error, stop}
let shown = null;
let attention = false;

// Translating -------------------------------------------------------------------------------------------------------

function add(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/") || !file.type || PICTURE.test(file.name));
  if (!images.length) return complain(files.length ? "That is not a picture." : "There is no picture in that folder.");
  complain("");
  const added = images.map((file) => ({ name: file.name || "photo.png", file, state: "waiting" }));
  photos.push(...added);
  shown = added[0];
  work();
}

function again() { // the options have changed
  for (const photo of photos) {
    photo.stop?.abort();
    forget(photo);
    photo.state = "waiting";
  }
  work();
}

function work() {
  const working = photos.filter((photo) => photo.state === "working").length;
  for (const photo of photos.filter((photo) => photo.state === "waiting").slice(0, Math.max(0, AT_ONCE - working))) {
    translate(photo);
  }
  draw();
}

async function translate(photo) {
  const stop = new AbortController();
  Object.assign(photo, { state: "working", stop, error: "" });
  try {
    const pictures = await send(photo.file, stop.signal);
    if (stop.signal.aborted) return;
    const urls = Object.fromEntries(Object.entries(pictures).map(([part, blob]) => [part, URL.createObjectURL(blob)]));
    Object.assign(photo, { state: "done", pictures, urls });
  } catch (error) {
    if (stop.signal.aborted) return;
    Object.assign(photo, { state: "failed", error: error.message });
  }
  work();
}

async function send(file, signal) {
  const options = new FormData($("options"));
  const query = new URLSearchParams({ fit: options.get("fit") });
  if (options.get("direction")) query.set("direction", options.get("direction"));
  const request = { method: "POST", body: file, signal, headers: { Accept: "multipart/form-data", "Content-Type": "application/octet-stream" } };
  for (let tries = 1; ; tries++) {
    const response = await ask(`v1/translate?${query}`, request);
    if (response.ok) return Object.fromEntries(await response.formData());
    if (response.status !== 503 || tries === PATIENCE) throw new Error(await reason(response));
    await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("Retry-After")) || 1)));
    signal.throwIfAborted();
  }
}

function forget(photo) {
  for (const url of Object.values(photo.urls ?? {})) URL.revokeObjectURL(url);
  Object.assign(photo, { pictures: null, urls: null });
}

// Folders that are dropped -------------------------------------------------------------------------------------------

const PICTURE = /\.(avif|bmp|dib|gif|hei[cf]|hif|j2k|jfif|jp[2efgx]|jpe?g|jxl|mpo|p[bgnp]m|png|tga|tiff?|webp)$/i;

async function dropped(transfer) { // a folder is a file to `files`, and can't be sent; only its entry shows what is in it
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()); // all at once: they go with the event
  if (!entries.some((entry) => entry?.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.map((entry) => entry && filesBelow(entry)));
  return found.flat().filter(Boolean);
}

async function filesBelow(entry) { // of a folder, its pictures, without hidden ones
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) { // a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    inside.push(...some);
  }
  const wanted = inside.filter((one) => !one.name.startsWith(".") && (one.isDirectory || PICTURE.test(one.name)));
  wanted.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const files = [];
  for (const one of wanted) files.push(...await filesBelow(one));
  return files;
}

// The server --------------------------------------------------------------------------------------------------------

async function ask(address, request = {}) {
  for (;;) {
    const key = sessionStorage.getItem("key");
    const headers = { ...request.headers, ...(key && { Authorization: `Bearer ${key}` }) };
    let response;
    try {
      response = await fetch(address, { ...request, headers });
    } catch (error) {
      if (request.signal?.aborted) throw error;
      throw new Error("The server can't be reached.");
    }
    if (response.status !== 401 || !(await getKey(key))) return response;
  }
}

async function reason(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

let asking = null; // one dialog for all requests that need the key

function getKey(refused) {
  if (sessionStorage.getItem("key") !== refused) return true; // another request has got a new one
  asking ??= new Promise((resolve) => {
    const dialog = $("key-dialog");
    dialog.returnValue = "";
    dialog.onclose = () => {
      asking = null;
      if (dialog.returnValue) sessionStorage.setItem("key", $("key").value);
      resolve(Boolean(dialog.returnValue));
    };
    dialog.showModal();
  });
  return asking;
}

$("key-form").onsubmit = (event) => {
  event.preventDefault();
  $("key-dialog").close("given");
};
$("key-close").onclick = () => $("key-dialog").close();

// Showing -----------------------------------------------------------------------------------------------------------

function draw() {
  const count = (state) => photos.filter((photo) => photo.state === state).length;
  const left = count("waiting") + count("working");
  const failed = count("failed");
  say([
    left ? `Translating ${photos.length > 1 ? `${photos.length - left + 1} of ${photos.length}` : ""}…` : count("done") ? "Done" : "",
    failed && photos.length > 1 ? `${failed} failed` : "",
  ].filter(Boolean).join(", "));
  complain(shown?.state === "failed" ? shown.error : "");
  drawGallery();
  drawResult();
}

function drawGallery() {
  const gallery = $("gallery");
  gallery.hidden = photos.length < 2;
  photos.forEach((photo, index) => {
    const item = gallery.children[index] ?? gallery.appendChild(document.createElement("li"));
    const button = item.firstChild ?? item.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = { done: "", failed: "failed" }[photo.state] ?? "waiting";
    button.setAttribute("aria-label", `${photo.name}: ${photo.state}`);
    button.setAttribute("aria-current", String(photo === shown));
    button.onclick = () => {
      shown = photo;
      draw();
    };
    if (photo.urls && button.firstChild?.src !== photo.urls.translation) {
      const image = Object.assign(new Image(), { src: photo.urls.translation, alt: "" });
      button.replaceChildren(image);
    } else if (!photo.urls) {
      button.textContent = photo.state === "failed" ? "failed" : "";
    }
  });
}

function drawResult() {
  const done = shown?.state === "done";
  $("result").hidden = !done;
  const finished = photos.filter((photo) => photo.state === "done");
  $("download-all").hidden = finished.length < 2;
  $("download-all").disabled = finished.length < photos.filter((photo) => photo.state !== "failed").length;
  if (!done) return;
  const looked = attention && shown.urls.heatmap;
  setSource($("after"), shown.urls.translation);
  setSource($("before"), looked ? shown.urls.heatmap : shown.urls.input);
  $("after").alt = `Translation of ${shown.name}`;
  $("before").alt = looked ? `Where the network looked in ${shown.name}` : `${shown.name} as the network saw it`;
  $("before-tag").textContent = looked ? "Where it looked" : "Photo";
  $("caption").textContent = shown.name;
  $("attention").hidden = !shown.urls.heatmap;
  $("attention").setAttribute("aria-pressed", String(attention));
  $("download").href = shown.urls.translation;
  $("download").download = translatedNames([shown])[0];
  slide();
}

function setSource(image, url) {
  if (image.src !== url) image.src = url;
}

function slide() {
  const at = Number($("slider").value);
  $("compare").style.setProperty("--at", `${at}%`);
  $("slider").setAttribute("aria-valuetext", `${at} percent photo, ${100 - at} percent translation`);
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

function complain(text) {
  $("error").hidden = !text;
  if ($("error").textContent !== text) $("error").textContent = text;
}

// Downloading -------------------------------------------------------------------------------------------------------

function translatedNames(some) { // each unlike the others
  const taken = new Set();
  return some.map((photo) => {
    const stem = photo.name.replace(/\.[^.]*$/, "") || "photo";
    let name = `${stem}.png`;
    for (let number = 2; taken.has(name); number++) name = `${stem}-${number}.png`;
    taken.add(name);
    return name;
  });
}

async function downloadAll() {
  const finished = photos.filter((photo) => photo.state === "done");
  const names = translatedNames(finished);
  const archive = await zip(finished.map((photo, index) => [names[index], photo.pictures.translation]));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(archive), download: "translated.zip" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// The camera --------------------------------------------------------------------------------------------------------

async function openCamera() {
  complain("");
  $("shoot").disabled = true;
  try {
    $("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    $("camera-dialog").showModal();
  } catch (error) {
    complain(`The camera can't be used: ${error.message}.`);
  }
}

function closeCamera() {
  for (const track of $("video").srcObject?.getTracks() ?? []) track.stop();
  $("video").srcObject = null;
}

function shoot() {
  const video = $("video");
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const taken = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
  canvas.toBlob((blob) => add([new File([blob], `camera ${taken}.jpg`, { type: blob.type })]), "image/jpeg", 0.95);
  $("camera-dialog").close();
}

// What people do ----------------------------------------------------------------------------------------------------

$("choose").onclick = () => $("files").click();
$("files").onchange = () => {
  add($("files").files);
  $("files").value = "";
};
document.ondragover = (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
};
document.ondragleave = (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
};
document.ondrop = async (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  add(await dropped(event.dataTransfer));
};
document.onpaste = (event) => {
  if (event.clipboardData.files.length) add(event.clipboardData.files);
};
$("camera").onclick = openCamera;
$("camera").hidden = !navigator.mediaDevices?.getUserMedia; // browsers offer it to https and this machine only
$("video").onloadeddata = () => {
  $("shoot").disabled = false;
};
$("shoot").onclick = shoot;
$("camera-close").onclick = () => $("camera-dialog").close();
$("camera-dialog").onclose = closeCamera;
$("options").onchange = again;
$("options").onsubmit = (event) => event.preventDefault();
$("slider").oninput = slide;
$("attention").onclick = () => {
  attention = !attention;
  drawResult();
};
$("download-all").onclick = downloadAll;

async function start() {
  const response = await ask("v1/model");
  if (!response.ok) return complain(await reason(response));
  const model = await response.json();
  const directions = model.engines.map((engine) => engine.direction);
  $("directions").hidden = directions.length < 2;
  document.querySelector(`[name=fit][value=${model.fit}]`).checked = true;
  document.querySelector(`[name=direction][value=${directions[0]}]`).checked = true;
  $("about").textContent = model.engines
    .map((engine) => `${engine.direction}: ${engine.kind} ${engine.precision}, ${engine.height}×${engine.width}, ${engine.device}`)
    .join(" · ");
  return work();
}

start().catch((error) => complain(error.message));
