// Renders portraits of one drawing style to raw bytes, with their attributes beside them.
//
//   node render.mjs STYLE COUNT FIRST_SEED OUT [OPTIONS_JSON] [STRIDE]
//
// Writes OUT.rgb (COUNT x 64 x 64 x 3 unsigned bytes) and OUT.jsonl (one line of attributes an image).
// The seed of image i is FIRST_SEED + i * STRIDE (1 unless given), so any range can be rendered again, alone.
// Portraits of neighbouring seeds are alike: a small set needs a stride to be varied.
import fs from 'node:fs';
import * as collection from '@dicebear/collection';
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';

const SIZE_PX = 64;
const BACKGROUNDS = ['b6e3f4', 'c0aede', 'ffd5dc', 'ffdfbf', 'd5ecc2'];

const [style, count, firstSeed, out, options = '{}', stride = '1'] = process.argv.slice(2);
if (!out || !(style in collection)) {
  const known = Object.keys(collection).join(', ');
  console.error(`usage: node render.mjs STYLE COUNT FIRST_SEED OUT [OPTIONS_JSON] [STRIDE]\nSTYLE is one of: ${known}`);
  process.exit(2);
}

const images = fs.openSync(`${out}.rgb.partial`, 'w');
const attributes = fs.openSync(`${out}.jsonl.partial`, 'w');
for (let i = 0; i < Number(count); i++) {
  const avatar = createAvatar(collection[style], {
    seed: String(Number(firstSeed) + i * Number(stride)),
    backgroundColor: BACKGROUNDS,
    ...JSON.parse(options),
  });
  const rgba = new Resvg(avatar.toString(), { fitTo: { mode: 'width', value: SIZE_PX }, background: '#ffffff' })
    .render().pixels;
  const rgb = Buffer.alloc(SIZE_PX * SIZE_PX * 3);
  for (let p = 0; p < SIZE_PX * SIZE_PX; p++) {
    rgb[3 * p] = rgba[4 * p];
    rgb[3 * p + 1] = rgba[4 * p + 1];
    rgb[3 * p + 2] = rgba[4 * p + 2];
  }
  fs.writeSync(images, rgb);
  fs.writeSync(attributes, JSON.stringify(avatar.toJson().extra) + '\n');
}
fs.closeSync(images);
fs.closeSync(attributes);
fs.renameSync(`${out}.rgb.partial`, `${out}.rgb`);
fs.renameSync(`${out}.jsonl.partial`, `${out}.jsonl`);
