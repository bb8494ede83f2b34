// An element without a look: hands one block of bytes to the scatter of the same page.
const carried = new WeakMap(); // parent element -> digest

export default function ({ data, parentElement }) {
  const before = carried.get(parentElement);
  if (data) carried.set(parentElement, holdBlock(data));
  if (before !== undefined) dropBlock(before);
  return () => {
    dropBlock(carried.get(parentElement));
    carried.delete(parentElement);
  };
}
