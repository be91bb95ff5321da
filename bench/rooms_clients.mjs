// Clients of either server, driven by bench_rooms.py: a JSON command a line in, a JSON answer a line out.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(process.argv[2]);
const { io } = require('socket.io-client');
const sockets = [];
let latencies = [];
let results = [];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const now = () => performance.timeOrigin + performance.now();

async function open({ url, tokens, room }) {
	for (const token of tokens) {
		const socket = io(url, { forceNew: true, transports: ['websocket'], auth: { token } });
		sockets.push(socket);
		socket.on('room:message-received', ({ content }) => latencies.push(now() - Number(content)));
		socket.on('poll:results-update', ({ version }) => results.push([version, now()]));
		await new Promise((resolve, reject) => {
			socket.on('connect', resolve);
			socket.on('connect_error', reject);
		});
		if (room) await socket.emitWithAck('room:join', { roomCode: room });
	}
	return { open: sockets.length };
}

async function talk({ messages, perSecond }) {
	latencies = [];
	const began = now();
	for (let sent = 0; sent < messages; sent += 1) {
		const due = began + (1000 * sent) / perSecond;
		if (due > now()) await pause(due - now());
		sockets[sent % sockets.length].emit('room:message', { content: String(now()), clientMsgId: `m${began}-${sent}` }, () => {});
	}
	const wanted = messages * sockets.length;
	for (let waited = 0; latencies.length < wanted && waited < 100; waited += 1) await pause(100);
	return { deliveries: latencies.length, wanted, latencies: summary(latencies), seconds: (now() - began) / 1000 };
}

async function vote({ pollId, voters }) {
	const took = [];
	for (let voter = 0; voter < voters; voter += 1) {
		results = [];
		const began = now();
		const answer = await sockets[voter].emitWithAck('poll:vote', { pollId, optionId: String(1 + (voter % 2)) });
		const { version } = answer.data;
		for (let waited = 0; waited < 500 && results.filter(([each]) => each >= version).length < sockets.length; waited += 1) await pause(1);
		took.push(Math.max(...results.filter(([each]) => each >= version).map(([, at]) => at)) - began);
		await pause(110); // the next vote is not held back by the limit of ten updates a second
	}
	return { latencies: summary(took), votes: took.length };
}

function summary(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
	return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

const commands = { open, talk, vote };
createInterface({ input: process.stdin }).on('line', async (line) => {
	const { run, ...given } = JSON.parse(line);
	if (run === 'exit') process.exit(0);
	let answer;
	try {
		answer = await commands[run](given);
	} catch (error) {
		answer = { error: String(error) };
	}
	process.stdout.write(`${JSON.stringify(answer)}\n`);
});
