// The server: its address, its key, its answers.

const $ = (id) => document.getElementById(id);

export class NoKey extends Error {} // the dialog was closed without one

export async function ask(address, request = {}) {
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
    if (response.status !== 401) return response;
    if (!(await newKey(key))) throw new NoKey("This server needs its API key.");
  }
}

export async function reason(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

let described = null;

export function model() { // what is served, asked for until it is known
  described ??= describe().catch((error) => {
    described = null;
    throw error;
  });
  return described;
}

async function describe() {
  const response = await ask("v1/model");
  if (!response.ok) throw new Error(await reason(response));
  return response.json();
}

let asking = null; // one dialog for all requests that need the key

function newKey(refused) {
  if (sessionStorage.getItem("key") !== refused) return true; // another request has got a new one
  asking ??= new Promise((resolve) => {
    const dialog = $("key-dialog");
    dialog.returnValue = "";
    dialog.onclose = () => {
      asking = null;
      if (dialog.returnValue) sessionStorage.setItem("key", $("key").value);
      resolve(Boolean(dialog.returnValue));
    };
    $("key-wrong").textContent = refused ? "That is not this server's key." : "";
    dialog.showModal();
    $("key").select();
  });
  return asking;
}

$("key-form").onsubmit = (event) => {
  event.preventDefault();
  $("key-dialog").close("given");
};
$("key-close").onclick = () => $("key-dialog").close();
