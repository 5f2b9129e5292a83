"""What puts Hauberk under a bot's own HTTP client, in one line.

    client = hauberk.clients.httpx.client(guard, account="main")

A module for each of `httpx`, `httpx2`, `requests`, `aiohttp` and `ccxt`; import the one you use.
Each can be imported without its library, which is loaded when something is made with it.

All of them do the same: what the bot asks for is cleared, exactly the signed bytes are sent, the
answer is settled. The library above sees the unsigned request only, before and after: in its logs,
its exceptions and its answers there is no key and no signature.
"""
