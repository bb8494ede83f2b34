// The component: one Scatter a mounted element, from its first data to its removal.

class Scatter extends ScatterHands {
  restore() {
    try {
      this.painter = new PointPainter(this.el.points);
    } catch {
      return; // lost again: the next restored event tries anew
    }
    delete this.root.dataset.context;
    if (!this.config) return;
    this.painter.positions(this.xs, this.ys, this.box);
    this.painter.codes(this.codes);
    this.paintPalette();
    this.uploadFlags();
    this.drawNow();
  }

  destroy() {
    this.keepNow();
    this.dead = true;
    this.aborter.abort();
    this.observer.disconnect();
    BLOCKS.waiting.delete(this.wake);
    cancelAnimationFrame(this.frame);
    for (const timer of [this.gridTimer, this.restTimer, this.cutTimer, this.sayTimer, this.keepTimer]) clearTimeout(timer);
    this.painter?.free();
  }
}

const mounted = new WeakMap(); // root element -> Scatter

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".scatter");
  if (!root || !data) return;
  let scatter = mounted.get(root);
  if (!scatter) mounted.set(root, (scatter = new Scatter(root)));
  scatter.update(data, setStateValue);
  return () => {
    scatter.destroy();
    mounted.delete(root);
  };
}
