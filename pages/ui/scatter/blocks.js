// Blocks of bytes that the carrier components bring, by digest; the scatter waits here for those it needs.
const BLOCKS = (globalThis[Symbol.for("quadrant.scatter.blocks")] ??= { held: new Map(), waiting: new Set() });
const HEAD = 32; // a block's bytes begin with its digest, as 32 hex digits

/** Keep a block for as long as a carrier holds it; returns its digest. */
function holdBlock(message) {
  const digest = String.fromCharCode(...message.subarray(0, HEAD));
  const entry = BLOCKS.held.get(digest) ?? { holders: 0, bytes: message.subarray(HEAD) };
  entry.holders += 1;
  BLOCKS.held.set(digest, entry);
  for (const wake of [...BLOCKS.waiting]) wake();
  return digest;
}

function dropBlock(digest) {
  const entry = BLOCKS.held.get(digest);
  if (entry && --entry.holders <= 0) BLOCKS.held.delete(digest);
}

/** The block's bytes, copied to an aligned buffer of their own, or undefined while it is on its way. */
function takeBlock(digest) {
  return BLOCKS.held.get(digest)?.bytes.slice();
}
