"""The Qt style sheet, filled from the tokens. Widgets choose looks by the property `role` (and `tone` where needed)."""

from __future__ import annotations

from gui.views.tokens import CONTROL_HEIGHT, FONT, RADIUS, SIZE_BODY, SIZE_LARGE, SIZE_SMALL, SIZE_TITLE, Tokens


def stylesheet(t: Tokens, chevron: str, chevron_up: str, check: str) -> str:
    """The whole sheet. The last three are paths of SVG files in the theme's colours (Qt wants files here)."""
    inner = CONTROL_HEIGHT - 2
    return f"""
* {{ font-family: "{FONT}"; font-size: {SIZE_BODY}px; color: {t.text}; outline: none; }}
QMainWindow, QDialog, #page, #root {{ background: {t.window}; }}
QToolTip {{ background: {t.raised}; color: {t.text}; border: 1px solid {t.strong_border}; padding: 6px 8px; }}
QLabel {{ background: transparent; }}
QLabel[role="title"] {{ font-size: {SIZE_TITLE}px; font-weight: 600; }}
QLabel[role="heading"] {{ font-size: {SIZE_LARGE}px; font-weight: 600; }}
QLabel[role="caption"] {{ font-size: {SIZE_SMALL}px; color: {t.muted}; font-weight: 500; }}
QLabel[role="muted"] {{ color: {t.muted}; }}
QLabel[role="strong"] {{ font-weight: 600; }}
QLabel[role="code"] {{ background: {t.raised}; border: 1px solid {t.border}; border-radius: 6px; padding: 8px 12px; }}
QLabel[tone="warning"] {{ color: {t.warning}; }}
QLabel[tone="negative"], QLabel[tone="locked"] {{ color: {t.negative}; }}
QLabel[tone="positive"] {{ color: {t.positive}; }}
QLabel[tone="accent"] {{ color: {t.accent}; }}

#sidebar {{ background: {t.sidebar}; border: none; border-right: 1px solid {t.border}; }}
#header {{ background: {t.window}; border: none; border-bottom: 1px solid {t.border}; }}
QFrame[role="card"] {{ background: {t.surface}; border: 1px solid {t.border}; border-radius: {RADIUS}px; }}
QFrame[role="line"] {{ background: {t.border}; border: none; max-height: 1px; min-height: 1px; }}
QFrame[role="banner"] {{ border: 1px solid {t.border}; border-radius: {RADIUS}px; background: {t.surface}; }}
QFrame[role="banner"][tone="locked"], QFrame[role="banner"][tone="negative"] {{
    background: {t.locked_soft}; border-color: {t.locked}; }}
QFrame[role="banner"][tone="warning"] {{ background: {t.warning_soft}; border-color: {t.warning}; }}
QFrame[role="banner"][tone="positive"] {{ background: {t.positive_soft}; border-color: {t.positive}; }}
QFrame[role="banner"][tone="accent"] {{ background: {t.accent_soft}; border-color: {t.accent}; }}

QPushButton, QToolButton {{ background: {t.raised}; border: 1px solid {t.strong_border}; border-radius: 7px;
    min-height: {inner - 2}px; padding: 0 14px; font-weight: 500; }}
QToolButton {{ padding: 0 8px; }}
QPushButton:hover, QToolButton:hover {{ background: {t.hover}; }}
QPushButton:pressed, QToolButton:pressed {{ background: {t.border}; }}
QPushButton:focus, QToolButton:focus {{ border: 2px solid {t.focus}; padding: 0 13px; }}
QToolButton:focus {{ padding: 0 7px; }}
QPushButton:disabled, QToolButton:disabled {{ color: {t.muted}; background: {t.surface}; border-color: {t.border}; }}
QPushButton[role="primary"] {{ background: {t.accent_hover}; border-color: {t.accent_hover}; color: {t.on_accent}; }}
QPushButton[role="primary"]:hover {{ background: {t.accent_hover}; border-color: {t.text}; }}
QPushButton[role="primary"]:disabled {{ background: {t.raised}; border-color: {t.border}; color: {t.muted}; }}
QPushButton[role="danger"] {{ background: {t.danger}; border-color: {t.danger}; color: {t.on_danger}; }}
QPushButton[role="danger"]:hover {{ background: {t.danger_hover}; }}
QPushButton[role="danger"]:disabled {{ background: {t.raised}; border-color: {t.border}; color: {t.muted}; }}
QPushButton[role="primary"]:focus, QPushButton[role="danger"]:focus {{ border: 2px solid {t.text}; }}
QPushButton[role="link"] {{ background: transparent; border: 1px solid transparent; color: {t.accent};
    padding: 0 6px; }}
QPushButton[role="link"]:hover {{ background: {t.hover}; }}
QPushButton[role="link"]:focus {{ border: 2px solid {t.focus}; padding: 0 5px; }}
QPushButton::menu-indicator, QToolButton::menu-indicator {{ image: url({chevron}); subcontrol-position: right center;
    subcontrol-origin: padding; right: 8px; width: 14px; height: 14px; }}
QPushButton[role="menu"], QPushButton[role="menu"]:focus {{ padding: 0 32px 0 12px; }}

QPushButton[role="nav"] {{ background: transparent; border: 2px solid transparent; border-radius: 8px; text-align: left;
    padding: 0 10px; min-height: 36px; color: {t.muted}; font-weight: 500; }}
QPushButton[role="nav"]:hover {{ background: {t.hover}; color: {t.text}; }}
QPushButton[role="nav"]:checked {{ background: {t.accent_soft}; color: {t.accent}; font-weight: 600; }}
QPushButton[role="nav"]:disabled {{ background: transparent; color: {t.strong_border}; }}
QPushButton[role="nav"]:focus {{ border-color: {t.focus}; }}
QPushButton[role="segment"] {{ min-width: 64px; }}
QPushButton[role="segment"]:checked {{ background: {t.accent_soft}; color: {t.accent}; border-color: {t.accent}; }}

QLineEdit, QComboBox, QSpinBox, QTimeEdit, QDateTimeEdit, QPlainTextEdit {{
    background: {t.surface}; border: 1px solid {t.strong_border}; border-radius: 7px; padding: 0 10px;
    selection-background-color: {t.accent_hover}; selection-color: {t.on_accent}; }}
QLineEdit, QComboBox, QSpinBox, QTimeEdit, QDateTimeEdit {{ min-height: {inner - 2}px; }}
QPlainTextEdit {{ padding: 8px; }}
QLineEdit:focus, QComboBox:focus, QSpinBox:focus, QTimeEdit:focus, QDateTimeEdit:focus,
QPlainTextEdit:focus {{ border: 2px solid {t.focus}; padding: 0 9px; }}
QPlainTextEdit:focus {{ padding: 7px; }}
QLineEdit:disabled, QComboBox:disabled, QSpinBox:disabled, QTimeEdit:disabled {{ color: {t.muted};
    background: {t.raised}; }}
QComboBox {{ padding-right: 26px; }}
QSpinBox, QTimeEdit, QDateTimeEdit {{ padding: 0 26px 0 10px; }}
QSpinBox:focus, QTimeEdit:focus, QDateTimeEdit:focus {{ padding: 0 25px 0 9px; }}
QAbstractSpinBox QLineEdit, QAbstractSpinBox QLineEdit:focus {{ background: transparent; border: none; min-height: 0;
    padding: 0 0 0 8px; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ border: none; background: transparent; width: 24px;
    subcontrol-origin: border; }}
QAbstractSpinBox::up-button {{ subcontrol-position: top right; }}
QAbstractSpinBox::down-button {{ subcontrol-position: bottom right; }}
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover {{ background: {t.hover}; }}
QAbstractSpinBox::up-arrow {{ image: url({chevron_up}); width: 12px; height: 12px; }}
QAbstractSpinBox::down-arrow {{ image: url({chevron}); width: 12px; height: 12px; }}
QComboBox::drop-down {{ border: none; width: 26px; }}
QComboBox::down-arrow {{ image: url({chevron}); width: 14px; height: 14px; }}
QComboBox QAbstractItemView {{ background: {t.surface}; border: 1px solid {t.strong_border}; padding: 4px;
    selection-background-color: {t.accent_soft}; selection-color: {t.accent}; }}
QComboBox QAbstractItemView::item {{ min-height: 28px; padding: 0 8px; }}
QCheckBox, QRadioButton {{ spacing: 10px; min-height: 28px; background: transparent; }}
QCheckBox::indicator, QRadioButton::indicator {{ width: 18px; height: 18px; border: 1px solid {t.strong_border};
    background: {t.surface}; }}
QCheckBox::indicator {{ border-radius: 5px; }}
QRadioButton::indicator {{ border-radius: 9px; }}
QCheckBox::indicator:checked {{ background: {t.accent_hover}; border-color: {t.accent_hover}; image: url({check}); }}
QRadioButton::indicator:checked {{ border: 5px solid {t.accent_hover}; width: 10px; height: 10px;
    background: #ffffff; }}
QCheckBox::indicator:focus, QRadioButton::indicator:focus {{ border: 2px solid {t.focus}; }}
QCheckBox:focus, QRadioButton:focus {{ color: {t.accent}; }}

QMenu {{ background: {t.surface}; border: 1px solid {t.strong_border}; padding: 6px; }}
QMenu::item {{ padding: 7px 28px 7px 12px; border-radius: 6px; }}
QMenu::item:selected {{ background: {t.accent_soft}; color: {t.accent}; }}
QMenu::item:disabled {{ color: {t.muted}; }}
QMenu::separator {{ height: 1px; background: {t.border}; margin: 6px 8px; }}

QTableView, QTreeView, QListView {{ background: transparent; alternate-background-color: {t.window}; border: none;
    gridline-color: {t.border}; selection-background-color: {t.accent_soft}; selection-color: {t.text}; }}
QTableView::item:selected {{ background: {t.accent_soft}; color: {t.text}; }}
QHeaderView {{ background: transparent; border: none; }}
QHeaderView::section {{ background: {t.surface}; color: {t.muted}; font-size: {SIZE_SMALL}px; font-weight: 600;
    border: none; border-bottom: 1px solid {t.border}; padding: 6px 12px; }}

QScrollArea, QScrollArea > QWidget > #scrolled {{ background: transparent; border: none; }}
QAbstractScrollArea::corner {{ background: transparent; border: none; }}
QScrollBar:vertical {{ background: transparent; width: 12px; margin: 2px; }}
QScrollBar:horizontal {{ background: transparent; height: 12px; margin: 2px; }}
QScrollBar::handle {{ background: {t.strong_border}; border-radius: 4px; min-height: 32px; min-width: 32px; }}
QScrollBar::handle:hover {{ background: {t.muted}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}

QTabBar::tab {{ background: transparent; color: {t.muted}; padding: 8px 14px; border: none;
    border-bottom: 2px solid transparent; font-weight: 500; }}
QTabBar::tab:hover {{ color: {t.text}; }}
QTabBar::tab:selected {{ color: {t.accent}; border-bottom: 2px solid {t.accent}; }}
QTabBar::tab:focus {{ border-bottom: 2px solid {t.focus}; color: {t.text}; }}
QTabWidget::pane {{ border: none; border-top: 1px solid {t.border}; }}
QProgressBar {{ background: {t.raised}; border: none; border-radius: 4px; max-height: 8px; text-align: center; }}
QProgressBar::chunk {{ background: {t.accent}; border-radius: 4px; }}
QSplitter::handle {{ background: {t.border}; }}
"""
