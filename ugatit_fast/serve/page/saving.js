// Translations as files: their names, their format, one or all in an archive.

import { zip } from "./zip.js";

const QUALITY = 0.92;
const SUFFIXES = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };

export function canWrite(type) { // Safari can't write WebP, and then gives a PNG
  return document.createElement("canvas").toDataURL(type).startsWith(`data:${type}`);
}

async function written(png, type) {
  if (type === "image/png") return png;
  const picture = await createImageBitmap(png);
  const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, type, QUALITY));
}

function names(photos, type) { // each unlike the others
  const taken = new Set();
  return photos.map((photo) => {
    const stem = photo.name.replace(/\.[^.]*$/, "") || "photo";
    let name = `${stem}.${SUFFIXES[type]}`;
    for (let number = 2; taken.has(name); number++) name = `${stem}-${number}.${SUFFIXES[type]}`;
    taken.add(name);
    return name;
  });
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export async function saveOne(photo, type) {
  save(await written(photo.result.pictures.translation, type), names([photo], type)[0]);
}

export async function saveAll(photos, type) {
  const named = names(photos, type);
  const files = [];
  for (const [index, photo] of photos.entries()) files.push([named[index], await written(photo.result.pictures.translation, type)]);
  save(await zip(files), "translated.zip");
}

export function copy(photo) {
  return navigator.clipboard.write([new ClipboardItem({ "image/png": photo.result.pictures.translation })]);
}
