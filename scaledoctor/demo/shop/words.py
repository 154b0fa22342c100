"""Word lists for shops other than the default one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trade:
    """What one kind of business calls its data; `customer_key` stands in the orders table."""

    database: str
    customers: str
    inventory: str
    orders: str
    customer_key: str
    product_key: str
    stock: str


SHOP = Trade("shop", "customers", "inventory", "orders", "customer_id", "product_id", "stock")

TRADES = (
    Trade("travel", "guests", "rooms", "bookings", "guest_id", "room_id", "nights_left"),
    Trade("venue", "visitors", "events", "tickets", "visitor_id", "event_id", "seats_left"),
    Trade("ledger", "accounts", "plans", "invoices", "account_id", "plan_id", "licences"),
    Trade("library", "members", "titles", "loans", "member_id", "title_id", "copies"),
    Trade("clinic", "patients", "doctors", "appointments", "patient_id", "doctor_id", "hours"),
    Trade("depot", "clients", "parts", "shipments", "client_id", "part_id", "on_shelf"),
    Trade("academy", "students", "courses", "enrolments", "student_id", "course_id", "places"),
    Trade("garage", "drivers", "services", "repairs", "driver_id", "service_id", "slots_left"),
)

SCHEMAS = ("public", "core", "app", "main", "live")
WEB = ("storefront", "web-api", "checkout", "gateway", "frontend", "portal")
REPORTS = ("nightly-report", "dashboard", "bi-export", "month-end", "statements")
WORKERS = ("mailer", "settlement", "sync-worker", "invoicer", "job-runner")
MIGRATORS = ("deploy", "schema-upgrade", "alembic", "release-job", "flyway")
ANALYTICS = ("data-science", "notebook", "warehouse-sync", "insights", "metabase")
BACKENDS = ("be_shop", "app", "web_pool", "origin", "api", "site")
SERVERS = ("web", "node", "app", "srv", "host", "vm")
