// What Chart.js does not draw: a mark on its interval, whiskers of a line, and hatching where a bin is withheld.

/** A shape for each series, so that colour is not alone. The names are those of Chart.js. */
export const SHAPES = ['circle', 'rect', 'triangle', 'rectRot', 'cross', 'star'];

const RADIUS = 5;

function shape(context, name, x, y) {
  context.beginPath();
  if (name === 'circle') {
    context.arc(x, y, RADIUS, 0, 2 * Math.PI);
  } else if (name === 'rect') {
    context.rect(x - RADIUS + 0.5, y - RADIUS + 0.5, 2 * RADIUS - 1, 2 * RADIUS - 1);
  } else if (name === 'cross' || name === 'star') {
    const turns = name === 'cross' ? [0, 1] : [0, 1, 0.5, 1.5];
    for (const turn of turns) {
      const [dx, dy] = [RADIUS * Math.cos((turn * Math.PI) / 2), RADIUS * Math.sin((turn * Math.PI) / 2)];
      context.moveTo(x - dx, y - dy);
      context.lineTo(x + dx, y + dy);
    }
    context.lineWidth = 2.5;
    context.stroke();
  } else {
    const corners = name === 'triangle' ? [[0, -6], [5.5, 4.5], [-5.5, 4.5]] : [[0, -6], [6, 0], [0, 6], [-6, 0]];
    corners.forEach(([dx, dy]) => context.lineTo(x + dx, y + dy));
    context.closePath();
  }
  context.fill();
}

function pointsOnIntervals({ ctx, scales }, dataset, elements) {
  dataset.points.forEach((point, index) => {
    if (point) shape(ctx, dataset.shape, scales.x.getPixelForValue(point.value), elements[index].y);
  });
}

function whiskers({ ctx, scales }, dataset, elements) {
  ctx.lineWidth = 1.5;
  dataset.whiskers.forEach((point, index) => {
    if (!point || point.low === null || point.high === null) return;
    const { x } = elements[index];
    const [low, high] = [point.low, point.high].map((end) => scales.y.getPixelForValue(end));
    ctx.beginPath();
    ctx.moveTo(x, low);
    ctx.lineTo(x, high);
    for (const end of [low, high]) {
      ctx.moveTo(x - 3, end);
      ctx.lineTo(x + 3, end);
    }
    ctx.stroke();
  });
}

/** Thin slanted lines over the bin's whole place: its number is not known, so its height says nothing. */
function hatching({ ctx, chartArea, scales, options }, dataset) {
  const upright = options.indexAxis === 'x';
  const along = upright ? scales.x : scales.y;
  const size = (upright ? chartArea.width : chartArea.height) / dataset.withheld.length;
  ctx.globalAlpha = 0.28;
  ctx.lineWidth = 1;
  dataset.withheld.forEach((isWithheld, index) => {
    if (!isWithheld) return;
    const start = along.getPixelForValue(index) - size * 0.42;
    const [x, y, w, height] = upright
      ? [start, chartArea.top, size * 0.84, chartArea.height]
      : [chartArea.left, start, chartArea.width, size * 0.84];
    ctx.save();
    ctx.beginPath();
    ctx.rect(x, y, w, height);
    ctx.clip();
    ctx.beginPath();
    for (let at = -height; at < w; at += 7) {
      ctx.moveTo(x + at, y + height);
      ctx.lineTo(x + at + height, y);
    }
    ctx.stroke();
    ctx.restore();
  });
}

/** The plugin; a dataset asks for each by what it carries. */
export const marks = {
  id: 'marks',
  afterDatasetsDraw(chart) {
    const { ctx } = chart;
    chart.data.datasets.forEach((dataset, index) => {
      const elements = chart.getDatasetMeta(index).data;
      ctx.save();
      ctx.fillStyle = dataset.colour;
      ctx.strokeStyle = dataset.colour ?? dataset.hatch;
      if (dataset.points) pointsOnIntervals(chart, dataset, elements);
      if (dataset.whiskers) whiskers(chart, dataset, elements);
      if (dataset.withheld) hatching(chart, dataset);
      ctx.restore();
    });
  },
};
