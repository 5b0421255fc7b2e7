// The client `binance` (by tiagosiebler) through a bot's day. Settings come as one line of JSON on standard input; each
// step that passed goes out as a line, and so does the wish for a restart of the server.

import assert from 'node:assert/strict';
import readline from 'node:readline';
import { MainClient, WebsocketAPIClient, WebsocketClient } from 'binance';

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const nextLine = async () => (await lines.next()).value;
const settings = JSON.parse(await nextLine());
const say = (what) => process.stdout.write(`>> ${JSON.stringify(what)}\n`);
const passed = (step) => say({ passed: step });
const symbol = 'BTCUSDT';

const socket = settings.base.replace('http', 'ws');
const credentials = (key) => ({ api_key: key.api_key, api_secret: key.api_secret || key.private_pem });
const quiet = { trace() {}, info() {}, error(...what) { console.error(...what); } };
const rest = (key) => new MainClient({ ...credentials(key), baseUrl: settings.base, disableTimeSync: true });
const webSocketApi = (key) =>
  new WebsocketAPIClient(
    { ...credentials(key), wsUrl: socket, reconnectTimeout: 200, resubscribeUserDataStreamDelaySeconds: 1,
      attachEventListeners: false, muteLatencyWarning: true },
    quiet,
  );

// Promises what `wanted` finds first in the messages that `client` emits from now on.
const heard = (client, wanted) =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`not heard within 30 s: ${wanted}`)), 30_000);
    const listen = (message) => {
      const event = message.data ?? message.event ?? message;
      if (!wanted(event)) return;
      clearTimeout(late);
      client.off('message', listen);
      resolve(event);
    };
    client.on('message', listen);
  });

const client = rest(settings.bot);
const free = async (asset) => Number((await client.getBalances()).find((coin) => coin.coin === asset).free);
assert.equal(await free('USDT'), 50000);
const account = await client.getAccountInformation();
assert.equal(account.balances.find((row) => row.asset === 'USDT').free, '50000.00000000');
passed('reads its balances over REST: `getAccountInformation`, `getBalances`');

const info = await client.getExchangeInfo({ symbol });
assert.equal(info.symbols[0].symbol, symbol);
assert.equal((await client.getKlines({ symbol, interval: '1m', limit: 20 })).length, 20);
assert.ok((await client.getOrderBook({ symbol, limit: 100 })).bids.length >= 50);
passed('reads the market over REST: `getExchangeInfo`, `getKlines`, `getOrderBook`');

const limit = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.01, price: 40000 };
const placed = await client.submitNewOrder(limit);
assert.deepEqual((await client.getOpenOrders({ symbol })).map((order) => order.orderId), [placed.orderId]);
const replaced = await client.replaceOrder({
  ...limit, price: 41000, cancelReplaceMode: 'STOP_ON_FAILURE', cancelOrderId: placed.orderId,
});
assert.equal(replaced.newOrderResult, 'SUCCESS');
const cancelled = await client.cancelOrder({ symbol, orderId: replaced.newOrderResponse.orderId });
assert.equal(cancelled.status, 'CANCELED');
passed('places, finds, replaces and cancels an order over REST: `submitNewOrder`, `replaceOrder` …');

const market = new WebsocketClient({ wsUrl: socket, reconnectTimeout: 200 }, quiet);
market.on('exception', (error) => console.error('exception', error));
const wanted = { 'btcusdt@trade': 'trade', 'btcusdt@aggTrade': 'aggTrade', 'btcusdt@kline_1m': 'kline',
  'btcusdt@depth@100ms': 'depthUpdate', 'btcusdt@ticker': '24hrTicker' };
const events = Object.values(wanted).map((e) => heard(market, (event) => event.e === e && event.s === symbol));
const best = heard(market, (event) => event.u && event.B && event.A && event.e !== 'depthUpdate');
await market.subscribe([...Object.keys(wanted), 'btcusdt@bookTicker'], 'main');
await Promise.all(events);
assert.ok(Number((await best).b) < Number((await best).a));
passed('hears trades, candles, depth, tickers and best prices: `subscribe`');

const api = webSocketApi(settings.bot);
assert.ok((await api.getSpotServerTime()).result.serverTime > 0);
assert.equal((await api.getSpotAccountInformation({ timestamp: Date.now() })).result.accountType, 'SPOT');
assert.equal((await api.getSpotOrderBook({ symbol, limit: 10 })).result.bids.length, 10);
passed('asks over the WebSocket API: `getSpotAccountInformation`, `getSpotOrderBook` …');

const overSocket = (await api.submitNewSpotOrder({ ...limit, timestamp: Date.now() })).result;
const ids = { symbol, orderId: overSocket.orderId };
assert.equal((await api.getSpotOrderStatus({ ...ids, timestamp: Date.now() })).result.status, 'NEW');
assert.equal((await api.cancelSpotOrder({ ...ids, timestamp: Date.now() })).result.status, 'CANCELED');
passed('places, finds and cancels an order over the WebSocket API: `submitNewSpotOrder` …');

await assert.rejects(api.cancelSpotOrder({ ...ids, timestamp: Date.now() }), (error) => error.error?.code === -2011);
await assert.rejects(client.cancelOrder(ids), (error) => error.code === -2011);
passed('a refusal rejects with its code, over REST and over the WebSocket API');

await api.subscribeUserDataStream('mainWSAPI');
const hearOf = async (listener) => {
  const filled = heard(listener, (event) => event.e === 'executionReport' && event.X === 'FILLED');
  const balances = heard(listener, (event) => event.e === 'outboundAccountPosition');
  const bought = await client.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.01 });
  assert.equal((await filled).i, bought.orderId);
  const told = (await balances).B.find((row) => row.a === 'USDT');
  assert.equal(Number(told.f), await free('USDT'));
};
await hearOf(api.getWSClient());
passed('hears of its order, fill and balances: `subscribeUserDataStream`');

const wrong = { ...settings.bot, api_secret: 'wrong'.repeat(12) };
await assert.rejects(rest(wrong).getAccountInformation(), (error) => error.code === -1022);
const refused = webSocketApi(wrong);
await assert.rejects(
  refused.getSpotAccountInformation({ timestamp: Date.now() }), (error) => error.error?.code === -1022,
);
await refused.disconnectAll();
passed('a wrong secret is -1022, over REST and over the WebSocket API');

const ed25519 = webSocketApi(settings.ed25519);
const logged = (await ed25519.submitNewSpotOrder({ ...limit, timestamp: Date.now() })).result;
assert.ok((await ed25519.getSpotSessionStatus()).result.authorizedSince > 0);
await ed25519.cancelSpotOrder({ symbol, orderId: logged.orderId, timestamp: Date.now() });
await ed25519.disconnectAll();
passed('logs on with an Ed25519 key by itself and then asks unsigned: `session.logon`');

const again = heard(api.getWSClient(), (event) => event.e === 'executionReport');
say({ restart: true });
await nextLine();
const since = Date.now();
await heard(market, (event) => event.e === 'trade' && event.T > since);
// It subscribes to the user data again by itself, a while later.
for (let heardIt = false; !heardIt; ) {
  await client.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.001 });
  heardIt = await Promise.race([again.then(() => true), new Promise((resolve) => setTimeout(resolve, 500, false))]);
}
passed('hears the market and itself again after the server was restarted, by itself');
process.exit(0);
