// Draws charts on canvases with Chart.js, again whenever colours change. Each has its numbers in a table beside it.

import { h } from './dom.js';
import { marks, SHAPES } from './marks.js';

const { Chart } = globalThis;
Chart.register(marks);

/** Series that one chart can tell apart. */
export const SERIES_MOST = 6;

/** Everything on the page: each canvas with what makes its settings out of the colours. */
const drawn = new Map();

function colours() {
  const probe = h('span');
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const series = Array.from({ length: SERIES_MOST }, (_, index) => read(`series-${index + 1}`));
  const all = { ink: read('ink'), soft: read('soft-ink'), line: read('line'), paper: read('card'), series };
  probe.remove();
  return all;
}

function draw(canvas, settings) {
  const paint = colours();
  Chart.getChart(canvas)?.destroy();
  Chart.defaults.color = paint.soft;
  Chart.defaults.borderColor = paint.line;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 13;
  const config = settings(paint);
  config.options = { animation: false, responsive: true, maintainAspectRatio: false, ...config.options };
  new Chart(canvas, config);
}

addEventListener('theme', () => {
  for (const [canvas, settings] of drawn) {
    if (canvas.isConnected) draw(canvas, settings);
    else drawn.delete(canvas);
  }
});

/** A canvas of `height` pixels that is drawn once it stands in the page; `text` says what it shows. */
function canvas(height, text, settings) {
  const element = h('canvas', { role: 'img', 'aria-label': `${text} The same numbers are in the table.` });
  const frame = h('div', { class: 'canvas' }, element);
  frame.style.blockSize = `${height}px`;
  requestAnimationFrame(() => {
    for (const old of drawn.keys()) if (!old.isConnected) drawn.delete(old);
    if (!element.isConnected) return;
    drawn.set(element, settings);
    draw(element, settings);
  });
  return frame;
}

const scale = (paint, text, more = {}) => ({
  title: { display: Boolean(text), text, color: paint.soft },
  grid: { color: paint.line, drawTicks: false },
  border: { display: false },
  ticks: { padding: 6, maxRotation: 0, autoSkipPadding: 12, ...more.ticks },
  ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== 'ticks')),
});

const tooltip = (paint, label) => ({
  backgroundColor: paint.ink, titleColor: paint.paper, bodyColor: paint.paper, padding: 10, displayColors: false, callbacks: { label },
});

/**
 * Groups below each other: bars for counts, else a mark on its interval.
 * `series` is `[{ name, points: [{ value, low, high, text } or null] }]`, a point for each label; `ends` are what the axis covers.
 */
export function groups({ labels, series, ends, axis, bars, text }) {
  const rows = labels.length * (series.length * 16 + 12);
  return canvas(Math.max(rows, 40) + 58, text, (paint) => ({
    type: 'bar',
    data: {
      labels,
      datasets: series.map(({ name, points }, index) => ({
        label: name,
        data: points.map((one) => one && (bars ? one.value : [one.low ?? one.value, one.high ?? one.value])),
        backgroundColor: bars ? paint.series[index] : faint(paint.series[index]),
        borderRadius: bars ? 2 : 4,
        borderSkipped: false,
        maxBarThickness: bars ? 16 : 8,
        categoryPercentage: 0.84,
        points: bars ? null : points,
        shape: SHAPES[index],
        colour: paint.series[index],
        telling: points,
      })),
    },
    options: {
      indexAxis: 'y',
      scales: {
        x: scale(paint, axis, { ...range(ends, bars), ticks: { maxTicksLimit: 7 } }),
        y: scale(paint, '', { grid: { display: series.length > 1, offset: true, color: paint.line, drawTicks: false }, ticks: { autoSkip: false, color: paint.ink, callback: short } }),
      },
      plugins: { legend: { display: false }, tooltip: tooltip(paint, telling) },
    },
  }));
}

/** Days or weeks from left to right; a gap is a time that is not told. */
export function times({ labels, series, ends, axis, bars, text }) {
  return canvas(300, text, (paint) => ({
    type: 'line',
    data: {
      labels,
      datasets: series.map(({ name, points }, index) => ({
        label: name,
        data: points.map((one) => one?.value ?? null),
        borderColor: paint.series[index],
        backgroundColor: paint.series[index],
        borderWidth: 2,
        pointStyle: SHAPES[index],
        pointRadius: labels.length > 60 ? 2 : 4,
        whiskers: points,
        colour: paint.series[index],
        telling: points,
      })),
    },
    options: {
      interaction: { mode: 'index', intersect: false },
      scales: {
        x: scale(paint, '', { offset: true, grid: { display: false } }),
        y: scale(paint, axis, range(ends, bars)),
      },
      plugins: { legend: { display: false }, tooltip: tooltip(paint, telling) },
    },
  }));
}

/** Bins of one group: side by side where they are ranges, below each other where they are classes. */
export function bins({ labels, rows, texts, axis, along, text }) {
  const upright = along !== null;
  const height = upright ? 280 : labels.length * 24 + 58;
  return canvas(height, text, (paint) => ({
    type: 'bar',
    data: {
      labels,
      datasets: [{
        data: rows, backgroundColor: paint.series[0], borderRadius: 2, categoryPercentage: 1, barPercentage: upright ? 0.94 : 0.72,
        withheld: rows.map((one) => one === null), hatch: paint.soft, telling: texts.map((one) => ({ text: one })),
      }],
    },
    options: {
      indexAxis: upright ? 'x' : 'y',
      scales: {
        [upright ? 'x' : 'y']: scale(paint, along ?? '', {
          grid: { display: false }, ticks: { autoSkip: upright, color: paint.ink, callback: short },
        }),
        [upright ? 'y' : 'x']: scale(paint, axis, { beginAtZero: true, ticks: { maxTicksLimit: 6 } }),
      },
      plugins: { legend: { display: false }, tooltip: tooltip(paint, telling) },
    },
  }));
}

/** Counts of days on top of each other. `series` is `[{ name, values }]`. */
export function stacked({ labels, series, axis, text }) {
  return canvas(260, text, (paint) => ({
    type: 'bar',
    data: {
      labels,
      datasets: series.map(({ name, values }, index) => ({
        label: name, data: values, backgroundColor: paint.series[index % SERIES_MOST], maxBarThickness: 34,
        borderColor: paint.paper, borderWidth: { top: 1 },
      })),
    },
    options: {
      interaction: { mode: 'index', intersect: false },
      scales: {
        x: scale(paint, '', { stacked: true, grid: { display: false } }),
        y: scale(paint, axis, { stacked: true, beginAtZero: true, ticks: { maxTicksLimit: 6 } }),
      },
      plugins: { legend: { display: false }, tooltip: tooltip(paint, (item) => `${item.dataset.label}: ${item.formattedValue}`) },
    },
  }));
}

/** What each colour and shape stands for. */
export function legend(names, { shapes = true } = {}) {
  return h('ul', { class: 'legend' }, names.map((name, index) => {
    const sign = h('span', { class: `sign ${shapes ? SHAPES[index] : 'rect'}`, 'aria-hidden': 'true' });
    sign.style.setProperty('--colour', `var(--series-${(index % SERIES_MOST) + 1})`);
    return h('li', {}, sign, name);
  }));
}

/** An axis that covers `ends`, and zero where that does not flatten them. */
function range(ends, bars) {
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return { beginAtZero: bars || (low >= 0 && low < high / 2), suggestedMin: low, suggestedMax: high };
}

const faint = (colour) => colour.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.34)');

/** Long names would leave no room for marks; the table has them whole. */
function short(value) {
  const text = String(this.getLabelForValue(value));
  const most = this.chart.width < 480 ? 16 : 28;
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function telling({ dataset, dataIndex }) {
  const text = dataset.telling[dataIndex]?.text ?? '';
  return dataset.label ? `${dataset.label}: ${text}` : text;
}
