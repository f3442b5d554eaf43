// What the app's pages share: who is signed in and which client is open goes
// with every call of the API, and with nothing else (not with /chat/ posts).
"use strict";
const ui = (() => {
  const cookie = (name) => {
    const pair = document.cookie.split("; ").find((pair) => pair.startsWith(name + "="));
    return pair ? decodeURIComponent(pair.slice(name.length + 1)) : "";
  };
  const client = () => localStorage.getItem("camarad_client_id") || cookie("camarad_client_id");
  const plainFetch = window.fetch.bind(window);
  window.fetch = (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    if (url.origin !== location.origin || !url.pathname.startsWith("/api/")) {
      return plainFetch(input, init);
    }
    const headers = new Headers(init.headers || (input instanceof Request ? input.headers : {}));
    const user = parseInt(cookie("camarad_user_id"), 10);
    if (user > 0) headers.set("X-User-ID", String(user));
    if (client()) headers.set("X-Client-ID", client());
    return plainFetch(input, { ...init, headers });
  };
  const at = (id) => document.getElementById(id);
  const json = async (url, method = "GET", body) => {
    const init = { method };
    if (body !== undefined) {
      init.headers = { "Content-Type": "application/json" };
      init.body = JSON.stringify(body);
    }
    return (await fetch(url, init)).json();
  };
  const say = (text) => {
    let place = at("error");
    if (!place) {
      place = document.createElement("p");
      place.id = "error";
      document.body.prepend(place);
    }
    place.textContent = text;
  };
  const choose = (id) => {
    if (id) {
      localStorage.setItem("camarad_client_id", id);
      document.cookie = `camarad_client_id=${id}; Path=/; SameSite=Lax`;
    } else {
      localStorage.removeItem("camarad_client_id");
      document.cookie = "camarad_client_id=; Path=/; SameSite=Lax; Max-Age=0";
    }
  };
  const option = (value, text) => {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = text;
    return option;
  };
  const switcher = async () => {
    const select = at("client-switch");
    if (!select) return;
    const clients = await json("/api/clients");
    if (!Array.isArray(clients)) throw new Error(clients.error || "no clients");
    select.replaceChildren(option("", "All clients"), ...clients.map((c) => option(c.id, c.name)));
    select.value = client();
    select.onchange = () => {
      choose(select.value);
      location.reload();
    };
  };
  // Loads a page for the first time, and says when that is done.
  const start = (load) =>
    document.addEventListener("DOMContentLoaded", async () => {
      try {
        await Promise.all([switcher(), load()]);
        document.body.dataset.ready = "1";
      } catch (error) {
        console.error("Failed to load page:", error);
        say(String(error));
      }
    });
  return { at, json, say, choose, client, option, start };
})();
