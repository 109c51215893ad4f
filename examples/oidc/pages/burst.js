"use strict";

const result = document.getElementById("result");

async function refreshes() {
  return Number(await (await fetch("/refreshes")).text());
}

document.getElementById("send").addEventListener("click", async () => {
  const before = await refreshes();
  const answers = await Promise.all(Array.from({ length: 30 }, () => fetch("/api")));
  const ok = answers.filter((answer) => answer.ok).length;
  result.textContent = `${ok} of 30 requests succeeded. The token was refreshed ${await refreshes() - before} times.`;
});
