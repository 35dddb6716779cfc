@echo off
rem Stops the Risk Manager service (Ctrl+C, 30 s for a graceful end) and removes it from NSSM and Windows.
rem
rem Driven by "riskd service uninstall", which refuses while an account is locked. RM_NSSM names nssm.exe.
rem Ends 0 also when there is no such service. Removing is tried three times. Needs an administrator.
setlocal EnableExtensions DisableDelayedExpansion
set "SERVICE=RiskManagerDaemon"
set "TRIES="
set "ERRORLEVEL="

set "STEP=a variable that is missing: RM_NSSM"
if not defined RM_NSSM goto refused

:again
"%RM_NSSM%" status %SERVICE% >nul 2>&1
if "%ERRORLEVEL%"=="3" exit /b 0
"%RM_NSSM%" stop %SERVICE% >nul 2>&1
set "STEP=remove"
"%RM_NSSM%" remove %SERVICE% confirm >nul
if not "%ERRORLEVEL%"=="0" goto failed
exit /b 0

:failed
if "%TRIES%"=="xx" goto refused
set "TRIES=%TRIES%x"
ping -n 3 127.0.0.1 >nul
goto again

:refused
echo NSSM refused: %STEP%
exit /b 1
