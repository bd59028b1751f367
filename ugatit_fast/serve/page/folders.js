// Folders that are dropped stand for the pictures in them.

export const PICTURE = /\.(avif|bmp|dib|gif|hei[cf]|hif|j2k|jfif|jp[2efgx]|jpe?g|jxl|mpo|p[bgnp]m|png|tga|tiff?|webp)$/i;

export async function dropped(transfer) { // a folder is a file to `files`, and can't be sent; only its entry shows what is in it
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
