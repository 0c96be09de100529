// The current frame: taken from the video if there is one, otherwise from the frames' times.

class Player {
  constructor(video, times, end, onFrame, onState) {
    Object.assign(this, { video, times, end, onFrame, onState, frame: 0, playing: false, timer: 0 });
    if (!video) return;
    video.addEventListener("play", () => this.changed(true));
    video.addEventListener("pause", () => this.changed(false));
    // While it seeks, a video may still present the frame that it leaves.
    video.addEventListener("seeked", () => {
      if (!video.seeking) this.show(this.playing ? this.nearest(video.currentTime) : this.frame);
    });
    if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) {
      const presented = (_, { mediaTime }) => {
        if (!video.seeking) this.show(this.nearest(mediaTime));
        video.requestVideoFrameCallback(presented);
      };
      video.requestVideoFrameCallback(presented);
    } else {
      const look = () => {
        if (!video.seeking) this.show(this.lastBefore(video.currentTime));
        requestAnimationFrame(look);
      };
      look();
    }
  }

  show(frame) {
    this.frame = frame;
    this.onFrame(frame);
  }

  changed(playing) {
    this.playing = playing;
    this.onState(playing);
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  play() {
    if (this.video) { this.video.play(); return; }
    const start = performance.now() / 1000 - this.times[this.frame];
    const tick = () => {
      const time = (performance.now() / 1000 - start) % this.end, frame = this.lastBefore(time);
      if (frame !== this.frame) this.show(frame);
      this.timer = requestAnimationFrame(tick);
    };
    this.changed(true);
    tick();
  }

  pause() {
    if (this.video) { this.video.pause(); return; }
    cancelAnimationFrame(this.timer);
    this.changed(false);
  }

  // Stop on a frame: a video is sent to the middle of the time that it is shown for.
  seek(frame) {
    this.pause();
    frame = Math.min(Math.max(frame, 0), this.times.length - 1);
    if (!this.video) { this.show(frame); return; }
    this.frame = frame;
    const until = frame + 1 < this.times.length ? this.times[frame + 1] : this.end;
    this.video.currentTime = (this.times[frame] + until) / 2;
  }

  nearest(time) {
    const frame = this.lastBefore(time), next = Math.min(frame + 1, this.times.length - 1);
    return Math.abs(this.times[next] - time) < Math.abs(this.times[frame] - time) ? next : frame;
  }

  lastBefore(time) {
    let low = 0, high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= time + 1e-4) low = middle; else high = middle - 1;
    }
    return low;
  }
}
