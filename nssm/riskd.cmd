@echo off
rem The command line of the installed program, in its folder:  riskd status,  riskd check,  riskd service status ...
rem
rem The daemon's own folder is closed to users, so this needs a prompt opened with "Run as administrator".
setlocal EnableExtensions DisableDelayedExpansion
set "ERRORLEVEL="
if exist "%~dp0daemon\riskd.exe" goto found
echo riskd is for administrators: open a command prompt with "Run as administrator" and try again.
exit /b 1

:found
"%~dp0daemon\riskd.exe" %*
exit /b %ERRORLEVEL%
