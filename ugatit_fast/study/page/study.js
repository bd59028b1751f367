// One question after another: a photo, the methods' pictures, a choice.

import { ask, NoKey, reason } from "../server.js";

const $ = (id) => document.getElementById(id);
const RETRY_MS = 4000; // a server that is being started again is back by itself
let shown = null; // what is asked now
let again = null; // what "Try again" does
let timer = 0;

// A link may bring the key behind #, which browsers send to nobody.
if (location.hash.length > 1) {
  let key = location.hash.slice(1);
  try {
    key = decodeURIComponent(key);
  } catch { /* a % of its own */ }
  sessionStorage.setItem("key", key);
  history.replaceState(null, "", location.pathname + location.search);
}

const KEPT = "ugatit-study-person";
let me = kept() ?? drawn();

function drawn() { // a browser that keeps nothing draws anew with every page
  const fresh = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    localStorage.setItem(KEPT, fresh);
  } catch { /* then only this page knows it */ }
  return fresh;
}

function kept() {
  try {
    const number = localStorage.getItem(KEPT);
    return /^[0-9a-f]{32}$/.test(number) ? number : null;
  } catch {
    return null;
  }
}

async function answered(address, request) {
  const response = await ask(address, request);
  if (response.ok) return response;
  const error = new Error(await reason(response));
  error.changed = response.status === 409;
  throw error;
}

async function attempt(work) { // what fails is said, and done again by itself or by hand
  clearTimeout(timer);
  again = () => attempt(work);
  $("question").classList.add("waiting");
  $("question").inert = true;
  try {
    await work();
    $("trouble").hidden = true;
  } catch (error) {
    $("error").textContent = `${error.message} Your answers so far are kept.`;
    $("retry").textContent = error.changed ? "Go on" : "Try again";
    if (error.changed) again = () => attempt(() => show());
    else if (!(error instanceof NoKey)) timer = setTimeout(() => again(), RETRY_MS);
    $("trouble").hidden = false;
  } finally {
    $("question").inert = false;
    $("question").classList.remove("waiting");
  }
}

async function show(question) {
  const query = `person=${me}${question ? `&question=${question}` : ""}`;
  const next = await (await answered(`v1/study/next?${query}`)).json();
  if (next.question === null) {
    end(next);
    return;
  }
  const response = await answered(`v1/study/pictures?person=${me}&question=${next.question}`);
  const files = await response.formData();
  shown = next;
  for (const old of document.querySelectorAll("#question img")) URL.revokeObjectURL(old.src);
  $("photo").src = URL.createObjectURL(files.get("photo"));
  const labels = Array.from({ length: next.pictures }, (_, place) => option(place + 1, files.get(String(place + 1))));
  $("pictures").replaceChildren(...labels);
  for (const input of choices()) input.checked = next.chosen !== null && input.value === String(next.chosen);
  const target = next.target ? ` into ${next.target}` : "";
  $("title").textContent = `Which is the best translation${target}?`;
  $("ask").textContent = "Choose a picture";
  $("progress").textContent = `Question ${next.number} of ${next.total}`;
  $("back").disabled = next.before === null;
  $("on").disabled = !chosen();
  $("question").hidden = false;
  $("end").hidden = true;
  $("title").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function option(number, file) {
  const label = document.createElement("label");
  const picture = document.createElement("img");
  picture.src = URL.createObjectURL(file);
  picture.alt = "";
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "choice", value: String(number) });
  const words = document.createElement("span");
  words.append(input, `Picture ${number}`);
  label.append(picture, words);
  return label;
}

function end(next) {
  shown = { ...next, before: shown?.question ?? null };
  $("title").textContent = "Thank you";
  $("progress").textContent = `${next.answered} of ${next.total} answered`;
  $("question").hidden = true;
  $("end").hidden = false;
  $("review").hidden = shown.before === null;
  $("title").focus();
}

const choices = () => [...document.querySelectorAll("input[name=choice]")];
const chosen = () => choices().find((input) => input.checked);

async function send(question, choice) {
  await answered("v1/study/answer", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ person: me, question, choice }),
  });
}

$("question").onchange = () => { $("on").disabled = !chosen(); };
$("question").onsubmit = (event) => {
  event.preventDefault();
  if (!chosen()) return;
  const { question } = shown;
  let sent = false;
  attempt(async () => { // until it is sent, the choice may still change
    if (!sent) await send(question, Number(chosen().value) || null);
    sent = true; // what fails from here on is only the next question
    await show();
  });
};
$("back").onclick = () => attempt(() => show(shown.before));
$("review").onclick = () => attempt(() => show(shown.before));
$("retry").onclick = () => again();
$("other").onclick = () => {
  me = drawn();
  shown = null;
  attempt(() => show());
};

document.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if ($("question").hidden || $("question").inert || $("key-dialog").open) return;
  const input = /^[0-9]$/.test(event.key) && choices().find((one) => one.value === event.key);
  if (input) {
    input.checked = true;
    input.focus();
    $("on").disabled = false;
  } else if (event.key === "Enter" && event.target.tagName !== "BUTTON" && chosen()) $("question").requestSubmit();
  else return;
  event.preventDefault();
};

attempt(() => show());
