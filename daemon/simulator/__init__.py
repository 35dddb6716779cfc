"""A simulated ProjectX gateway on loopback: REST and both SignalR hubs, spoken to by the unmodified project-x-py.

    sim = Simulator(SimulatorConfig(seed=1, logins=[Login("trader1", "key-1", [Account(101)])]))
    await sim.start()
    sim.trader(101).buy("MNQ", 2)

Imports nothing of the daemon: it is the other side of the wire.
"""

from daemon.simulator import effects
from daemon.simulator.broker import BrokerSettings
from daemon.simulator.clock import SimClock
from daemon.simulator.command import simulate
from daemon.simulator.config import Account, Login, SimulatorConfig
from daemon.simulator.contracts import Contract, ContractTable
from daemon.simulator.exchange import FillPlan
from daemon.simulator.faults import Fault, FaultBox
from daemon.simulator.orders import Brackets, OrderStatus, OrderType, Reason, Refusal, Side
from daemon.simulator.records import RequestRecord, SentFrame
from daemon.simulator.script import load as load_script
from daemon.simulator.script import run as run_script
from daemon.simulator.simulator import Simulator
from daemon.simulator.trader import Trader

__all__ = [
    "Account",
    "Brackets",
    "BrokerSettings",
    "Contract",
    "ContractTable",
    "Fault",
    "FaultBox",
    "FillPlan",
    "Login",
    "OrderStatus",
    "OrderType",
    "Reason",
    "Refusal",
    "RequestRecord",
    "SentFrame",
    "Side",
    "SimClock",
    "Simulator",
    "SimulatorConfig",
    "Trader",
    "effects",
    "load_script",
    "run_script",
    "simulate",
]
