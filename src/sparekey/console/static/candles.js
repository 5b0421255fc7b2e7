// The candle chart of a symbol: history from /api/v3/klines, then live from the kline stream of the same server.
// Without this script the page shows a line and a table instead.

import {
  CandlestickSeries, HistogramSeries, createChart, createSeriesMarkers,
} from "./vendor/lightweight-charts.js";

const box = document.getElementById("candles");
const status = document.getElementById("chart-status");
const { symbol, interval, decimals, tick } = box.dataset;
const WAITS_MS = [1000, 2000, 5000, 10000, 30000];

// The library counts seconds and knows no zones: times are shifted to the reader's before it sees them.
const local = (ms) => Math.floor(ms / 1000) - new Date(ms).getTimezoneOffset() * 60;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function looks() {
  const line = colour("--line");
  return {
    layout: {
      background: { color: colour("--paper") }, textColor: colour("--soft"), attributionLogo: false,
      fontFamily: getComputedStyle(document.body).fontFamily,
    },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    rightPriceScale: { borderColor: line },
    timeScale: {
      borderColor: line, rightOffset: 4, timeVisible: !/[dwM]$/.test(interval), secondsVisible: interval === "1s",
    },
  };
}
const candleLooks = () => {
  const up = colour("--good"), down = colour("--bad");
  return { upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down };
};

function tell(text, kind) {
  status.textContent = text;
  status.className = `tag ${kind}`;
}

const chart = createChart(box, { autoSize: true, ...looks() });
const candles = chart.addSeries(CandlestickSeries, {
  ...candleLooks(), priceFormat: { type: "price", precision: Number(decimals), minMove: Number(tick) },
});
candles.priceScale().applyOptions({ scaleMargins: { top: 0.1, bottom: 0.22 } });
const volumes = chart.addSeries(HistogramSeries, {
  priceFormat: { type: "volume" }, priceScaleId: "", color: colour("--line"),
  lastValueVisible: false, priceLineVisible: false,
});
volumes.priceScale().applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
const marks = createSeriesMarkers(candles, []);

function restyle() {
  chart.applyOptions(looks());
  candles.applyOptions(candleLooks());
  volumes.applyOptions({ color: colour("--line") });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);

const candleOf = (row) => ({ time: local(row[0]), open: +row[1], high: +row[2], low: +row[3], close: +row[4] });

// Own fills, those of a candle and a side together, at the candle that holds them; older ones have no place.
function mark(opens) {
  const marked = new Map();
  for (const row of document.querySelectorAll("#fills tr[data-time]")) {
    const open = opens.findLast((one) => one <= Number(row.dataset.time));
    if (open === undefined) continue;
    const at = `${open} ${row.dataset.side}`;
    marked.set(at, (marked.get(at) ?? 0) + Number(row.dataset.quantity));
  }
  const markers = Array.from(marked, ([at, quantity]) => {
    const [open, side] = at.split(" ");
    const bought = side === "BUY";
    return {
      time: local(Number(open)), position: bought ? "belowBar" : "aboveBar", shape: bought ? "arrowUp" : "arrowDown",
      color: colour("--accent"), text: `${bought ? "Buy" : "Sell"} ${Number(quantity.toPrecision(8))}`,
    };
  });
  markers.sort((one, other) => one.time - other.time);
  marks.setMarkers(markers);
}

async function load() {
  const answer = await fetch(`/api/v3/klines?symbol=${symbol}&interval=${interval}&limit=500`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${answer.status}: ${body.msg}`);
  candles.setData(body.map(candleOf));
  volumes.setData(body.map((row) => ({ time: local(row[0]), value: +row[5] })));
  mark(body.map((row) => row[0]));
}

function follow(tries) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/${symbol.toLowerCase()}@kline_${interval}`);
  socket.addEventListener("open", async () => {
    // What happened while the line was down.
    if (tries) await load().catch(() => {});
    tries = 0;
    tell("Live", "good");
  });
  socket.addEventListener("message", (event) => {
    const { k } = JSON.parse(event.data);
    if (!k) return;
    const time = local(k.t);
    candles.update({ time, open: +k.o, high: +k.h, low: +k.l, close: +k.c });
    volumes.update({ time, value: +k.v });
    document.getElementById("last").textContent = shortened(k.c);
  });
  socket.addEventListener("close", () => {
    tell("Reconnecting", "warn");
    setTimeout(() => follow(tries + 1), WAITS_MS[Math.min(tries, WAITS_MS.length - 1)]);
  });
}

// As the server spells prices: no zeros at the end.
const shortened = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

document.getElementById("symbol").addEventListener("change", (event) => event.target.form.requestSubmit());

try {
  tell("Loading", "plain");
  await load();
  document.getElementById("chart-line").remove();
  follow(0);
} catch (error) {
  tell("No chart", "bad");
  box.hidden = true;
  const told = document.getElementById("chart-error");
  told.hidden = false;
  told.querySelector("span").textContent = error.message;
}
