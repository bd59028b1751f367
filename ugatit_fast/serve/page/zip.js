// A zip archive of files that are compressed already: each is stored as it is. (PKWARE's APPNOTE.TXT, 4.3)

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

// fields: pairs of a size in bytes, 2 or 4, and a value.
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view.buffer;
}

const VERSION = 20;
const UTF8_NAMES = 1 << 11;
const FIRST_DAY = (1 << 5) | 1; // 1 January 1980, the zip format's first

// files: [name, Blob] pairs whose names differ. Gives the archive as a Blob.
export async function zip(files) {
  const members = [];
  const directory = [];
  let offset = 0;
  for (const [name, blob] of files) {
    const encoded = new TextEncoder().encode(name);
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const facts = [
      [2, VERSION], [2, UTF8_NAMES], [2, 0], [2, 0], [2, FIRST_DAY],
      [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, encoded.length], [2, 0],
    ];
    members.push(record([4, 0x04034b50], ...facts), encoded, bytes);
    directory.push(record([4, 0x02014b50], [2, VERSION], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), encoded);
    offset += 30 + encoded.length + bytes.length;
  }
  const size = new Blob(directory).size;
  const count = files.length;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]);
  return new Blob([...members, ...directory, end], { type: "application/zip" });
}
