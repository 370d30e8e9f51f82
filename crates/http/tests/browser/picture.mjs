// Pictures of screens for the guides: at most 1200 pixels high, with a palette of 64 colours, which is enough for text.

import { mkdirSync, writeFileSync } from "node:fs";
import { deflateSync, inflateSync } from "node:zlib";

const HIGHEST = 1200;
const COLOURS = 64;
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export async function picture(page, folder, name) {
  const { width, height } = await page.evaluate(() => ({
    width: innerWidth,
    height: Math.max(innerHeight / 2, document.querySelector("main").getBoundingClientRect().bottom),
  }));
  const clip = { x: 0, y: 0, width, height: Math.min(Math.ceil(height), HIGHEST) };
  const png = await page.screenshot({ fullPage: true, clip, animations: "disabled", caret: "hide" });
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/${name}.png`, smaller(png));
}

// The same picture with a palette.
function smaller(png) {
  const { width, height, pixels } = decoded(png);
  const counts = new Map();
  const rounded = new Uint32Array(width * height);
  for (let at = 0; at < rounded.length; at++) {
    // Two steps of a colour that nobody tells apart are one.
    const part = (which) => Math.min(255, pixels[at * 3 + which] + 4) & 0xf8;
    rounded[at] = (part(0) << 16) | (part(1) << 8) | part(2);
    counts.set(rounded[at], (counts.get(rounded[at]) ?? 0) + 1);
  }
  const palette = [...counts].sort((one, other) => other[1] - one[1]).slice(0, COLOURS).map(([colour]) => colour);
  const nearest = new Map([...counts.keys()].map((colour) => [colour, closest(palette, colour)]));
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = nearest.get(rounded[y * width + x]);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const bytes = palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255].map(unrounded));
  const parts = [chunk("IHDR", header), chunk("PLTE", Buffer.from(bytes)), chunk("IDAT", deflateSync(rows, { level: 9 }))];
  return Buffer.concat([SIGNATURE, ...parts, chunk("IEND", Buffer.alloc(0))]);
}

const unrounded = (part) => (part >= 248 ? 255 : part);

function closest(palette, colour) {
  const distance = (other) =>
    [16, 8, 0].reduce((sum, shift) => sum + (((colour >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
  let best = 0;
  for (let at = 1; at < palette.length; at++) if (distance(palette[at]) < distance(palette[best])) best = at;
  return best;
}

// Width, height, and red, green and blue of each pixel.
function decoded(png) {
  let [width, height, channels, data] = [0, 0, 3, []];
  for (let at = 8; at < png.length; ) {
    const [length, kind] = [png.readUInt32BE(at), png.toString("latin1", at + 4, at + 8)];
    const content = png.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") {
      [width, height] = [content.readUInt32BE(0), content.readUInt32BE(4)];
      channels = content[9] === 6 ? 4 : 3;
    }
    if (kind === "IDAT") data.push(content);
    at += length + 12;
  }
  const packed = inflateSync(Buffer.concat(data));
  const line = width * channels;
  const rows = Buffer.alloc(line * height);
  for (let y = 0; y < height; y++) {
    const filter = packed[y * (line + 1)];
    for (let x = 0; x < line; x++) {
      const left = x < channels ? 0 : rows[y * line + x - channels];
      const up = y ? rows[(y - 1) * line + x] : 0;
      const corner = y && x >= channels ? rows[(y - 1) * line + x - channels] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      rows[y * line + x] = packed[y * (line + 1) + 1 + x] + guess;
    }
  }
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < width * height; at++) rows.copy(pixels, at * 3, at * channels, at * channels + 3);
  return { width, height, pixels };
}

function paeth(left, up, corner) {
  const [byLeft, byUp, byCorner] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs);
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}

function chunk(kind, content) {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), content]);
  const around = Buffer.alloc(8);
  around.writeUInt32BE(content.length, 0);
  around.writeUInt32BE(crc(body), 4);
  return Buffer.concat([around.subarray(0, 4), body, around.subarray(4)]);
}

function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}
