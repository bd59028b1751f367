// The camera: a phone's own app, or a preview in the page.

const $ = (id) => document.getElementById(id);
const PHONE = matchMedia("(pointer: coarse)").matches;

export function useCamera(add, complain) {
  const preview = navigator.mediaDevices?.getUserMedia; // browsers offer it to https and this machine only
  for (const button of document.querySelectorAll(".camera")) {
    button.hidden = !PHONE && !preview;
    button.onclick = PHONE ? () => $("snap").click() : () => open(complain);
  }
  $("video").onloadeddata = () => {
    $("shoot").disabled = false;
  };
  $("shoot").onclick = () => shoot(add);
  $("camera-close").onclick = () => $("camera-dialog").close();
  $("camera-dialog").onclose = close;
}

async function open(complain) {
  complain("");
  $("shoot").disabled = true;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    const [track] = stream.getVideoTracks();
    $("video").classList.toggle("mirror", track.getSettings().facingMode !== "environment"); // people expect a mirror
    $("video").srcObject = stream;
    $("camera-dialog").showModal();
  } catch (error) {
    complain(`The camera can't be used: ${error.message}.`);
  }
}

function close() {
  for (const track of $("video").srcObject?.getTracks() ?? []) track.stop();
  $("video").srcObject = null;
}

function shoot(add) { // as others see it, not mirrored
  const video = $("video");
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const taken = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
  canvas.toBlob((blob) => add([new File([blob], `camera ${taken}.jpg`, { type: blob.type })]), "image/jpeg", 0.95);
  $("camera-dialog").close();
}
