// The picture keeps itself up to date; this says how fast, and why it stopped.
const picture = document.getElementById("picture");
const rate = document.getElementById("rate");
const message = document.getElementById("message");
const still = document.getElementById("still");
const hold = document.getElementById("hold");

function fail(reason) {
  message.textContent = reason;
  message.hidden = false;
  rate.textContent = "";
  hold.disabled = true;
}

async function look() {
  let status;
  try {
    status = await (await fetch("status")).json();
  } catch {
    fail("The program has ended; start it again and reload this page.");
    return;
  }
  if (!status.running) {
    fail(`It has ended: ${status.message}`);
    return;
  }
  rate.textContent = status.shown ? `${status.frames_per_second.toFixed(1)} pictures/s` : "waiting for the camera …";
  setTimeout(look, 500);
}

hold.addEventListener("click", () => {
  const held = still.hidden;
  if (held) {
    still.width = picture.naturalWidth;
    still.height = picture.naturalHeight;
    still.getContext("2d").drawImage(picture, 0, 0);
  }
  still.hidden = !held;
  picture.hidden = held;
  hold.setAttribute("aria-pressed", held);
});

look();
