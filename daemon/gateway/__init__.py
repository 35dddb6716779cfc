"""The adapter to the ProjectX Gateway: REST and SignalR through the project-x-py SDK, for every account of every login.

pool.py        Gateways: all logins as one `daemon.broker.Broker`; the only name other packages need
login.py       LoginSession: one login with its token, accounts, hubs and polls
session_keeper.py  its tries to log in, and the exchange of its token in time
roster.py      its accounts; account.py: what is kept of one, and reading it anew after a gap
quotes.py      its market hub
reads.py       reads of an account as snapshots
rest.py        one request at a time: token, limiter, outcome of mutations and reads
supervisor.py  keeps one hub connected, whatever breaks
inbox.py       pushed payloads to events, in order, contracts first
mirror.py      what events and reads have told of an account; finds streams that are frozen or not whole
contracts.py   contract data of all logins
polling.py     what is read again and again, and when
parsing.py     the gateway's JSON to the core's records (pure)
limiter.py     requests a minute, mutations first (pure core, thin shell)
probe.py       the connection test
projectx.py    the only importer of the SDK; imported late because that takes a second
"""
